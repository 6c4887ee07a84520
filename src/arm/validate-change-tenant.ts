import { json } from '../http/respond.ts'
import { AzureError } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { z } from 'zod'
import { apiVersion } from './api-version.ts'
import type { ArmOptions } from './arm-options.ts'
import { aliases, roleAssignments } from './records.ts'
import type { TenantChangeFinding } from './resource-manager.ts'
import { roleById } from './roles.ts'
import { allRecords } from '../store/every-record.ts'

const guid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'must be a GUID')
const body = z.object({ properties: z.object({ destinationTenantId: guid }) })

/**
 * R32: tells before a subscription moves to another tenant what will break and what fixes it, and changes nothing. Azure does not
 * have this; its documentation lists it for people to look up.
 */
export async function validateChangeTenant(options: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { resourceManager, resourceTypes, directory } = options
  const { subscriptionId, tenantId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
  const scope = `/subscriptions/${subscriptionId}`
  await resourceManager.authorize(call.caller, scope, 'Microsoft.Subscription/changeTenant/action')
  const destinationTenantId = (await call.json(body)).properties.destinationTenantId.toLowerCase()
  if (destinationTenantId === tenantId)
    throw new AzureError('SubscriptionAlreadyInTenant', 400, `The subscription is in the tenant ${tenantId} already.`)
  if ((await directory.tenant(destinationTenantId)) === undefined) {
    const message = `There is no tenant ${destinationTenantId}.`
    throw new AzureError('TenantNotFound', 400, message, { target: 'properties.destinationTenantId' })
  }
  const ofResources = await Promise.all(resourceTypes.map(type => type.beforeTenantChange(subscriptionId)))
  const findings = [...(await ofSubscription(options, subscriptionId, tenantId)), ...ofResources.flat()]
  const counts = Object.fromEntries(
    [...Map.groupBy(findings, ({ code }) => code)].map(([code, all]) => [code, all.length]),
  )
  return json({ subscriptionId, subscriptionTenantId: tenantId, destinationTenantId, counts, findings })
}

async function ofSubscription(
  { records }: ArmOptions,
  subscriptionId: string,
  tenantId: string,
): Promise<TenantChangeFinding[]> {
  const held = await allRecords(records, roleAssignments, { prefix: `${subscriptionId}/` })
  const named = await allRecords(records, aliases, { prefix: `${tenantId}/` })
  return [
    ...held.map(({ value: { name, scope, principalId, roleDefinitionId } }): TenantChangeFinding => {
      const role = roleById(roleDefinitionId)?.roleName ?? roleDefinitionId
      return {
        code: 'RoleAssignmentRemoved',
        target: `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`,
        message: `${principalId} loses the role '${role}': role assignments do not move along.`,
        remedy: `Assign '${role}' to somebody of the new tenant. The new owner begins as Owner of the subscription.`,
      }
    }),
    ...named
      .filter(({ value }) => value.subscriptionId === subscriptionId)
      .map(({ value: { alias } }): TenantChangeFinding => ({
        code: 'AliasRemoved',
        target: `/providers/Microsoft.Subscription/aliases/${alias}`,
        message: `The alias '${alias}' of this tenant ends to name the subscription.`,
        remedy: 'Create an alias in the new tenant.',
      })),
  ]
}

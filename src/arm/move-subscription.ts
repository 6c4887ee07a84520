import { z } from 'zod'
import { AzureError, Forbidden, NotFound } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { put, remove } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { subscriptionOwner } from './first-subscription.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { changeSubscription } from './manage-subscriptions.ts'
import { aliases, roleAssignments, subscriptions } from './records.ts'
import { validateChangeTenant } from './validate-change-tenant.ts'

const guid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'must be a GUID')
const changeTenantBody = z.object({ properties: z.object({ destinationTenantId: guid, destinationOwnerId: guid }) })

const ACCEPT = '/providers/microsoft.subscription/subscriptions/:subscriptionid'

/**
 * R32: moves a subscription to another tenant in two steps, as Azure's portal does: the owner offers it, and the future
 * owner accepts it with a login of their own tenant. Role assignments vanish, identities stay behind in the old tenant, and
 * vaults keep their tenantId, so customer-managed keys stop working until both are fixed. `validateChangeTenant` tells this before.
 */
export function moveSubscriptionRoutes(options: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', maxBody: 0 } as const
  return [
    {
      ...base,
      method: 'POST',
      path: '/subscriptions/:subscriptionid/providers/microsoft.subscription/changetenant',
      maxBody: 4096,
      handler: call => offer(options, call),
    },
    {
      ...base,
      method: 'POST',
      path: '/subscriptions/:subscriptionid/providers/microsoft.subscription/validatechangetenant',
      maxBody: 4096,
      handler: call => validateChangeTenant(options, call),
    },
    {
      ...base,
      method: 'POST',
      path: `${ACCEPT}/acceptownership`,
      maxBody: 4096,
      handler: call => accept(options, call),
    },
    { ...base, method: 'GET', path: `${ACCEPT}/acceptownershipstatus`, handler: call => status(options, call) },
  ]
}

async function offer(options: ArmOptions, call: Call): Promise<Response> {
  const { directory } = options
  const { value } = await changeSubscription(options, call, 'changeTenant', async subscription => {
    const given = (await call.json(changeTenantBody)).properties
    const tenantId = given.destinationTenantId.toLowerCase()
    const ownerId = given.destinationOwnerId.toLowerCase()
    if (tenantId === subscription.tenantId) {
      throw new AzureError('SubscriptionAlreadyInTenant', 400, `The subscription is in the tenant ${tenantId} already.`)
    }
    if ((await directory.principal(ownerId))?.tenantId === tenantId)
      return { ...subscription, transfer: { tenantId, ownerId } }
    const message = `Principal ${ownerId} does not exist in the directory ${tenantId}: the future owner must live there.`
    throw new AzureError('PrincipalNotFound', 400, message, { target: 'properties.destinationOwnerId' })
  })
  return json({ subscriptionId: value.subscriptionId, acceptOwnershipState: 'Pending' }, { status: 202 })
}

async function accept(options: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { records, resourceManager, audit, env } = options
  const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
  const stored = await records.get(subscriptions, subscriptionId)
  const offered = stored?.value.transfer
  const { caller } = call
  if (
    stored === undefined ||
    offered === undefined ||
    caller.type !== 'principal' ||
    caller.objectId !== offered.ownerId
  ) {
    throw new Forbidden(
      'TransferNotOffered',
      `The subscription '${subscriptionId}' was not offered to you: its owner does so with POST .../providers/Microsoft.Subscription/changeTenant.`,
    )
  }
  const { transfer: _, ...rest } = stored.value
  const held = await allRecords(records, roleAssignments, { prefix: `${subscriptionId}/` })
  const named = (await allRecords(records, aliases, { prefix: `${rest.tenantId}/` })).filter(
    ({ value }) => value.subscriptionId === subscriptionId,
  )
  const properties = { from: rest.tenantId, to: offered.tenantId, roleAssignmentsRemoved: held.length }
  await audit
    .append(armAudit('Microsoft.Subscription/acceptOwnership/action', `/subscriptions/${subscriptionId}`, properties), [
      put(subscriptions, subscriptionId, { ...rest, tenantId: offered.tenantId }, stored.version),
      ...held.map(({ id }) => remove(roleAssignments, id)),
      ...named.map(({ id }) => remove(aliases, id)),
      subscriptionOwner(env, { ...offered, subscriptionId, principalId: offered.ownerId }),
    ])
    .catch(changedMeanwhile('The subscription'))
  await options.subscriptionMoved(subscriptionId)
  return empty(200)
}

async function status({ resourceManager }: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { subscriptionId, displayName, tenantId, transfer } = await resourceManager.subscription(
    call.params['subscriptionid'] ?? '',
  )
  const { caller } = call
  const isConcerned =
    caller.type === 'principal' && (caller.tenantId === tenantId || caller.objectId === transfer?.ownerId)
  if (!isConcerned)
    throw new NotFound('SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`)
  const acceptOwnershipState = transfer === undefined ? 'Completed' : 'Pending'
  return json({
    subscriptionId,
    acceptOwnershipState,
    provisioningState: transfer === undefined ? 'Succeeded' : 'Pending',
    subscriptionTenantId: transfer?.tenantId ?? tenantId,
    displayName,
  })
}

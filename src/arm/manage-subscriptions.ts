import { z } from 'zod'
import { noteOperation } from '../audit/request-context.ts'
import { AzureError, NotFound } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { put, remove, type Change, type Stored } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { newSubscription } from './first-subscription.ts'
import { aliases, subscriptions } from './records.ts'
import { checkSubscriptionId } from './resource-id.ts'
import type { Subscription } from './resource-manager.ts'

const displayName = z.string().min(1).max(64)
const renameBody = z.object({ subscriptionName: displayName })
const aliasBody = z.object({
  properties: z.object({
    displayName: displayName.nullish(),
    subscriptionId: z.string().max(64).nullish(),
    workload: z.string().max(64).nullish(),
    billingScope: z.string().max(500).nullish(),
    additionalProperties: z
      .object({ subscriptionTenantId: z.string().max(64).nullish(), subscriptionOwnerId: z.string().max(64).nullish() })
      .nullish(),
  }),
})

const MAX_IN_TENANT = 1000
const ALIASES = '/providers/microsoft.subscription/aliases'

/** Microsoft.Subscription: create (under an alias), rename, cancel and enable. */
export function manageSubscriptionRoutes(options: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', maxBody: 0 } as const
  const own = (verb: string) => `/subscriptions/:subscriptionid/providers/microsoft.subscription/${verb}`
  const change = (verb: string, to: (subscription: Subscription, call: Call) => Promise<Subscription>): Route => ({
    ...base,
    method: 'POST',
    path: own(verb),
    maxBody: 4096,
    handler: async call => {
      const { value } = await changeSubscription(options, call, verb, subscription => to(subscription, call))
      return json({ subscriptionId: value.subscriptionId })
    },
  })
  return [
    change('rename', async (subscription, call) => ({
      ...subscription,
      displayName: (await call.json(renameBody)).subscriptionName,
    })),
    change('cancel', async subscription => ({ ...subscription, state: 'Disabled' })),
    change('enable', async subscription => ({ ...subscription, state: 'Enabled' })),
    { ...base, method: 'PUT', path: `${ALIASES}/:alias`, maxBody: 64 * 1024, handler: call => putAlias(options, call) },
    {
      ...base,
      method: 'GET',
      path: `${ALIASES}/:alias`,
      handler: async call => json(await showAlias(options, await enterAlias(options, call, 'read'))),
    },
    { ...base, method: 'DELETE', path: `${ALIASES}/:alias`, handler: call => deleteAlias(options, call) },
    {
      ...base,
      method: 'GET',
      path: ALIASES,
      handler: async call => {
        const tenantId = await enterTenant(options, call, 'read')
        const found = await allRecords(options.records, aliases, { prefix: `${tenantId}/` })
        return json({ value: await Promise.all(found.map(stored => showAlias(options, stored))) })
      },
    },
  ]
}

/** Changes a subscription as its role assignments allow. @throws 409 when someone else was faster */
export async function changeSubscription(
  options: ArmOptions,
  call: Call,
  verb: string,
  to: (subscription: Subscription) => Promise<Subscription>,
): Promise<Stored<Subscription>> {
  apiVersion(call)
  const { records, resourceManager, audit } = options
  const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
  const id = `/subscriptions/${subscriptionId}`
  await resourceManager.authorize(call.caller, id, `Microsoft.Subscription/${verb}/action`)
  const stored = await records.get(subscriptions, subscriptionId)
  if (stored === undefined)
    throw new NotFound('SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`)
  // Where it is cancelled or moved to another tenant, its keys are closed (R25).
  noteOperation({ endsAccess: true })
  const value = await to(stored.value)
  await audit
    .append(armAudit(`Microsoft.Subscription/${verb}/action`, id), [
      put(subscriptions, subscriptionId, value, stored.version),
    ])
    .catch(changedMeanwhile('The subscription'))
  return { ...stored, value }
}

type Alias = Stored<{ readonly alias: string; readonly subscriptionId: string }>

async function enterTenant({ resourceManager }: ArmOptions, call: Call, action: string): Promise<string> {
  apiVersion(call)
  await resourceManager.authorize(call.caller, '/', `Microsoft.Subscription/aliases/${action}`)
  return call.caller.type === 'principal' ? call.caller.tenantId : ''
}

function aliasKey(tenantId: string, alias: string): string {
  if (/^[\w.-]{1,63}$/.test(alias)) return `${tenantId}/${alias.toLowerCase()}`
  throw new AzureError('InvalidAliasName', 400, "The alias is invalid: 1 to 63 letters, digits, '_', '.' and '-'.")
}

async function enterAlias(options: ArmOptions, call: Call, action: string): Promise<Alias> {
  const tenantId = await enterTenant(options, call, action)
  const { alias = '' } = call.params
  const found = await options.records.get(aliases, aliasKey(tenantId, alias))
  if (found !== undefined) return found
  throw new NotFound('SubscriptionAliasNotFound', `There is no subscription alias '${alias}'.`)
}

/** Creates a subscription in the caller's tenant, or names one that exists. The same alias again gives the same one. */
async function putAlias(options: ArmOptions, call: Call): Promise<Response> {
  const { records, audit, env } = options
  const tenantId = await enterTenant(options, call, 'write')
  const { alias = '' } = call.params
  const key = aliasKey(tenantId, alias)
  const { properties } = await call.json(aliasBody)
  const known = await records.get(aliases, key)
  if (known !== undefined) return json(await showAlias(options, known))
  const existing =
    properties.subscriptionId == null ? undefined : await ownSubscription(options, tenantId, properties.subscriptionId)
  const made = existing ?? (await newOne(options, call, tenantId, { ...properties, alias }))
  const value = { alias, subscriptionId: made.subscriptionId }
  const entry = armAudit('Microsoft.Subscription/aliases/write', `/subscriptions/${made.subscriptionId}`, {
    alias,
  })
  await audit.append(entry, [...made.changes, put(aliases, key, value, 0)]).catch(changedMeanwhile('The subscription'))
  return json(await showAlias(options, { id: key, version: 1, value }), { status: 201 })

  async function newOne(
    { directory }: ArmOptions,
    { caller }: Call,
    tenant: string,
    wanted: typeof properties & { alias: string },
  ): Promise<{ subscriptionId: string; changes: Change[] }> {
    const { subscriptionTenantId, subscriptionOwnerId } = wanted.additionalProperties ?? {}
    if (subscriptionTenantId != null && subscriptionTenantId.toLowerCase() !== tenant) {
      throw new AzureError(
        'InvalidSubscriptionTenant',
        400,
        'A subscription is created in the tenant of the caller. Move it afterwards, or log in to the other tenant.',
        { target: 'properties.additionalProperties.subscriptionTenantId' },
      )
    }
    const ownerId = subscriptionOwnerId?.toLowerCase() ?? (caller.type === 'principal' ? caller.objectId : '')
    if ((await directory.principal(ownerId))?.tenantId !== tenant) {
      throw new AzureError(
        'PrincipalNotFound',
        400,
        `Principal ${ownerId} does not exist in the directory ${tenant}.`,
        { target: 'properties.additionalProperties.subscriptionOwnerId' },
      )
    }
    const all = await allRecords(records, subscriptions)
    if (all.filter(({ value: one }) => one.tenantId === tenant).length >= MAX_IN_TENANT) {
      throw new AzureError('SubscriptionLimitExceeded', 400, `The tenant has ${MAX_IN_TENANT} subscriptions already.`)
    }
    return newSubscription(env, { tenantId: tenant, displayName: wanted.displayName ?? wanted.alias, ownerId })
  }
}

async function ownSubscription(
  { resourceManager }: ArmOptions,
  tenantId: string,
  given: string,
): Promise<{ subscriptionId: string; changes: Change[] }> {
  const subscription = await resourceManager.subscription(checkSubscriptionId(given))
  if (subscription.tenantId === tenantId) return { subscriptionId: subscription.subscriptionId, changes: [] }
  throw new NotFound('SubscriptionNotFound', `The subscription '${given}' could not be found.`)
}

/** Deletes the alias; the subscription stays. */
async function deleteAlias(options: ArmOptions, call: Call): Promise<Response> {
  const tenantId = await enterTenant(options, call, 'delete')
  const found = await options.records.get(aliases, aliasKey(tenantId, call.params['alias'] ?? ''))
  if (found === undefined) return empty(204)
  const entry = armAudit('Microsoft.Subscription/aliases/delete', `/subscriptions/${found.value.subscriptionId}`)
  await options.audit.append(entry, [remove(aliases, found.id)])
  return empty(200)
}

async function showAlias({ resourceManager }: ArmOptions, { value }: Alias): Promise<object> {
  const { displayName: name } = await resourceManager.subscription(value.subscriptionId)
  return {
    id: `/providers/Microsoft.Subscription/aliases/${value.alias}`,
    name: value.alias,
    type: 'Microsoft.Subscription/aliases',
    properties: { subscriptionId: value.subscriptionId, displayName: name, provisioningState: 'Succeeded' },
  }
}

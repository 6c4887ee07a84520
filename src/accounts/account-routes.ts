import { z } from 'zod'
import { apiVersion } from '../arm/api-version.ts'
import { checkPreconditions, etagOf, isUnchanged } from '../arm/etag.ts'
import type { Operations } from '../arm/operations.ts'
import { page } from '../arm/paging.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { Stored } from '../store/records.ts'
import type { Account } from './account.ts'
import { patchAccountBody, putAccountBody } from './account-body.ts'
import { mustRestore, type AccountLife } from './account-life.ts'
import type { AccountServices } from './accounts.ts'
import { createAccount } from './create-account.ts'
import { freshStatus } from './fresh-status.ts'
import { regenerateKey } from './regenerate-key.ts'
import type { ReEncryptions } from './re-encryptions.ts'
import { showAccount, shownAccount } from './show-account.ts'
import { checkFixed, updateAccount } from './update-account.ts'

const BASE = '/subscriptions/:subscriptionid/resourcegroups/:group/providers/microsoft.cognitiveservices/accounts'
const MAX_BODY = 256 * 1024

export interface AccountRouteServices extends AccountServices {
  readonly reEncryptions: ReEncryptions
  readonly life: AccountLife
  readonly operations: Operations
}

export interface AccountPlace {
  readonly subscriptionId: string
  readonly group: string
  readonly name: string
}

/** The id of the path's account. @throws 400 MissingApiVersionParameter, 403 AuthorizationFailed */
export async function enterAccount(services: AccountServices, call: Call, action: string): Promise<AccountPlace> {
  apiVersion(call)
  const { subscriptionid = '', group = '', account: name = '' } = call.params
  const { subscriptionId } = await services.resourceManager.subscription(subscriptionid)
  const scope = `/subscriptions/${subscriptionId}/resourceGroups/${group}${name === '' ? '' : `/providers/Microsoft.CognitiveServices/accounts/${name}`}`
  await services.resourceManager.authorize(call.caller, scope, `Microsoft.CognitiveServices/accounts/${action}`)
  return { subscriptionId, group, name }
}

/** The account of the path, if the caller may do that. */
export async function storedAccount(services: AccountServices, call: Call, action: string): Promise<Stored<Account>> {
  const { subscriptionId, group, name } = await enterAccount(services, call, action)
  return services.accounts.get(subscriptionId, group, name)
}

export function accountRoutes(services: AccountRouteServices): Route[] {
  const at = { host: 'management', auth: 'management', path: `${BASE}/:account` } as const
  return [
    { ...at, method: 'PUT', maxBody: MAX_BODY, handler: call => putAccount(services, call) },
    { ...at, method: 'PATCH', maxBody: MAX_BODY, handler: call => patchAccount(services, call) },
    { ...at, method: 'DELETE', maxBody: 0, handler: call => deleteAccount(services, call) },
    {
      ...at,
      method: 'GET',
      maxBody: 0,
      handler: async call => {
        const found = await storedAccount(services, call, 'read')
        await freshStatus(services, found.value)
        const headers = { etag: etagOf(found) }
        // The shown state of a customer's key changes without the account's record.
        const earlier = await services.earlierBlobs.count(found.value.accountId)
        const hasStatus = found.value.encryption.keyVaultProperties !== undefined || earlier > 0
        return !hasStatus && isUnchanged(call, found)
          ? empty(304, headers)
          : json(showAccount(services, found), { headers })
      },
    },
    {
      ...at,
      method: 'HEAD',
      maxBody: 0,
      handler: async call => {
        const { subscriptionId, group, name } = await enterAccount(services, call, 'read')
        return empty((await services.accounts.find(subscriptionId, group, name)) === undefined ? 404 : 204)
      },
    },
    ...keyRoutes(services),
    ...listRoutes(services),
  ]
}

async function putAccount(services: AccountRouteServices, call: Call): Promise<Response> {
  const { life, reEncryptions } = services
  const where = await enterAccount(services, call, 'write')
  const { subscriptionId, group, name } = where
  const body = await call.json(putAccountBody)
  const stored = await services.accounts.named(subscriptionId, group, name)
  const answer = async (status: 200 | 201): Promise<Response> =>
    json(await shownAccount(services, await services.accounts.get(subscriptionId, group, name)), { status })
  const restore = body.properties?.restore === true
  checkPreconditions(call, stored?.value.deleted === undefined ? stored : undefined)
  if (stored === undefined && restore) throw notDeleted(name)
  if (stored === undefined) {
    await createAccount(services, where, body)
    return answer(201)
  }
  checkFixed(stored.value, body)
  if (stored.value.deleted === undefined) await updateAccount(services, stored, body, reEncryptions)
  else if (restore) await life.restore(stored)
  else throw mustRestore(stored.value)
  return answer(200)
}

async function patchAccount(services: AccountRouteServices, call: Call): Promise<Response> {
  const found = await storedAccount(services, call, 'write')
  checkPreconditions(call, found)
  const body = await call.json(patchAccountBody)
  checkFixed(found.value, body)
  await updateAccount(services, found, body, services.reEncryptions)
  const { subscriptionId, group, name } = found.value
  return json(await shownAccount(services, await services.accounts.get(subscriptionId, group, name)))
}

async function deleteAccount(services: AccountRouteServices, call: Call): Promise<Response> {
  const { life, operations } = services
  const { subscriptionId, group, name } = await enterAccount(services, call, 'delete')
  const found = await services.accounts.find(subscriptionId, group, name)
  if (found === undefined) return empty(204)
  checkPreconditions(call, found)
  const what = { subscriptionId, resourceId: found.value.id }
  return operations.start(call, what, { run: () => life.delete(found) }, ['location', 'async'])
}

function notDeleted(name: string): Conflict {
  return new Conflict(
    'CanNotRestoreANonExistingResource',
    `There is no soft-deleted account '${name.slice(0, 64)}' in this group: leave out 'restore' to create a new one.`,
  )
}

const regenerateBody = z.object({ keyName: z.enum(['Key1', 'Key2']) })

function keyRoutes(services: AccountServices): Route[] {
  const base = { host: 'management', auth: 'management', method: 'POST', maxBody: 4096 } as const
  const withKeys = async (call: Call, action: string): Promise<Stored<Account>> => {
    const found = await storedAccount(services, call, action)
    if (!found.value.disableLocalAuth) return found
    const message = 'Failed to list key. disableLocalAuth is set to be true: this account takes Entra tokens only.'
    throw new AzureError('BadRequest', 400, message)
  }
  return [
    {
      ...base,
      path: `${BASE}/:account/listkeys`,
      handler: async call => json(services.accounts.keysOf((await withKeys(call, 'listKeys/action')).value)),
    },
    {
      ...base,
      path: `${BASE}/:account/regeneratekey`,
      handler: async call => {
        const found = await withKeys(call, 'regenerateKey/action')
        return json(await regenerateKey(services, found, (await call.json(regenerateBody)).keyName))
      },
    },
  ]
}

function listRoutes(services: AccountServices): Route[] {
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0 } as const
  const shown = async (call: Call, found: readonly Stored<Account>[]): Promise<Response> => {
    for (const { id } of found) await services.earlierBlobs.count(id)
    return page(call, found, stored => showAccount(services, stored))
  }
  return [
    {
      ...base,
      path: BASE,
      handler: async call => {
        const { subscriptionId, group } = await enterAccount(services, call, 'read')
        await services.resourceManager.group(subscriptionId, group)
        return shown(call, await services.accounts.list(subscriptionId, group))
      },
    },
    {
      ...base,
      path: '/subscriptions/:subscriptionid/providers/microsoft.cognitiveservices/accounts',
      handler: async call => {
        apiVersion(call)
        const { resourceManager } = services
        const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
        const may = await resourceManager.rights(call.caller, subscriptionId)
        const found = await services.accounts.list(subscriptionId)
        return shown(
          call,
          found.filter(({ value }) => may(value.id, 'Microsoft.CognitiveServices/accounts/read')),
        )
      },
    },
  ]
}

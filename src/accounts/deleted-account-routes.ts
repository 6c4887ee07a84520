import { apiVersion } from '../arm/api-version.ts'
import { page } from '../arm/paging.ts'
import { NotFound } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { Stored } from '../store/records.ts'
import type { Account } from './account.ts'
import type { AccountRouteServices } from './account-routes.ts'
import { showDeletedAccount } from './show-account.ts'

const PROVIDER = '/subscriptions/:subscriptionid/providers/microsoft.cognitiveservices'
const ONE = `${PROVIDER}/locations/:location/resourcegroups/:group/deletedaccounts/:account`
const ACTION = 'Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts'

/** Soft-deleted accounts: list, get, purge. A PUT with `restore` brings one back (account-routes.ts). */
export function deletedAccountRoutes(services: AccountRouteServices): Route[] {
  const { accounts, life, operations, resourceManager } = services
  const base = { host: 'management', auth: 'management', maxBody: 0 } as const
  const enter = async (call: Call, action: string): Promise<string> => {
    apiVersion(call)
    const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
    await resourceManager.authorize(call.caller, `/subscriptions/${subscriptionId}`, action)
    return subscriptionId
  }
  const find = async (call: Call, subscriptionId: string): Promise<Stored<Account> | undefined> => {
    const { location = '', group = '', account = '' } = call.params
    const found = await accounts.named(subscriptionId, group, account)
    const here = found?.value.location === location.toLowerCase().replaceAll(' ', '')
    return here && found.value.deleted !== undefined ? found : undefined
  }
  return [
    {
      ...base,
      method: 'GET',
      path: `${PROVIDER}/deletedaccounts`,
      handler: async call => {
        const subscriptionId = await enter(call, 'Microsoft.CognitiveServices/deletedAccounts/read')
        const found = await accounts.list(subscriptionId, undefined, 'deleted')
        return page(call, found, stored => showDeletedAccount(services, stored))
      },
    },
    {
      ...base,
      method: 'GET',
      path: ONE,
      handler: async call => {
        const found = await find(call, await enter(call, `${ACTION}/read`))
        if (found !== undefined) return json(showDeletedAccount(services, found))
        throw new NotFound(
          'ResourceNotFound',
          `There is no deleted account '${(call.params['account'] ?? '').slice(0, 64)}' here.`,
        )
      },
    },
    {
      ...base,
      method: 'DELETE',
      path: ONE,
      handler: async call => {
        const subscriptionId = await enter(call, `${ACTION}/delete`)
        const found = await find(call, subscriptionId)
        if (found === undefined) return empty(204)
        const what = { subscriptionId, resourceId: found.value.id }
        return operations.start(call, what, { run: () => life.purge(found) }, ['location', 'async'])
      },
    },
  ]
}

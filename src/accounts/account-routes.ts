import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { apiVersion } from '../arm/api-version.ts'
import type { ResourceType } from '../arm/resource-manager.ts'
import type { Stored } from '../store/records.ts'
import type { Account } from './account.ts'
import { patchAccountBody, putAccountBody } from './account-body.ts'
import type { Accounts } from './accounts.ts'
import { updateAccount } from './update-account.ts'

const BASE = '/subscriptions/:subscriptionid/resourcegroups/:group/providers/microsoft.cognitiveservices/accounts'
const MAX_BODY = 256 * 1024

/** Where an account stands, from the path. @throws 400 MissingApiVersionParameter, 403 AuthorizationFailed */
export async function enterAccount(
  service: Accounts,
  call: Call,
  action: string,
): Promise<{ subscriptionId: string; group: string; name: string }> {
  apiVersion(call)
  const { subscriptionid = '', group = '', account: name = '' } = call.params
  const { subscriptionId } = await service.options.resourceManager.subscription(subscriptionid)
  const scope = `/subscriptions/${subscriptionId}/resourceGroups/${group}${name === '' ? '' : `/providers/Microsoft.CognitiveServices/accounts/${name}`}`
  await service.options.resourceManager.authorize(call.caller, scope, `Microsoft.CognitiveServices/accounts/${action}`)
  return { subscriptionId, group, name }
}

export function accountRoutes(service: Accounts): Route[] {
  const at = { host: 'management', auth: 'management', path: `${BASE}/:account` } as const
  const stored = async (call: Call, action: string): Promise<Stored<Account>> => {
    const { subscriptionId, group, name } = await enterAccount(service, call, action)
    return service.get(subscriptionId, group, name)
  }
  return [
    { ...at, method: 'PUT', maxBody: MAX_BODY, handler: call => putAccount(service, call) },
    {
      ...at,
      method: 'PATCH',
      maxBody: MAX_BODY,
      handler: async call => {
        const found = await stored(call, 'write')
        return json(showAccount(service, await updateAccount(service, found, await call.json(patchAccountBody))))
      },
    },
    {
      ...at,
      method: 'GET',
      maxBody: 0,
      handler: async call => json(showAccount(service, (await stored(call, 'read')).value)),
    },
    {
      ...at,
      path: `${BASE}/:account/listkeys`,
      method: 'POST',
      maxBody: 4096,
      handler: async call => {
        const { value } = await stored(call, 'listKeys/action')
        if (!value.disableLocalAuth) return json(service.keysOf(value))
        throw new AzureError(
          'BadRequest',
          400,
          'Failed to list key. disableLocalAuth is set to be true: this account takes Entra tokens only.',
        )
      },
    },
    ...listRoutes(service),
  ]
}

async function putAccount(service: Accounts, call: Call): Promise<Response> {
  const where = await enterAccount(service, call, 'write')
  const body = await call.json(putAccountBody)
  const stored = await service.find(where.subscriptionId, where.group, where.name)
  if (stored === undefined) return json(showAccount(service, await service.create(where, body)), { status: 201 })
  if (stored.value.location === body.location.toLowerCase().replaceAll(' ', '')) {
    return json(showAccount(service, await updateAccount(service, stored, body)))
  }
  throw new AzureError(
    'InvalidResourceLocation',
    409,
    `The resource '${where.name}' already exists in location '${stored.value.location}'. A resource's location can't be changed.`,
  )
}

function listRoutes(service: Accounts): Route[] {
  const handler = async (call: Call): Promise<Response> => {
    const { subscriptionId, group } = await enterAccount(service, call, 'read')
    const found = await service.list(subscriptionId, group === '' ? undefined : group)
    return json({ value: found.map(account => showAccount(service, account)) })
  }
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0, handler } as const
  return [
    { ...base, path: BASE },
    { ...base, path: '/subscriptions/:subscriptionid/providers/microsoft.cognitiveservices/accounts' },
  ]
}

export function accountResourceType(service: Accounts): ResourceType {
  return {
    type: 'Microsoft.CognitiveServices/accounts',
    apiVersions: ['2025-09-01', '2025-06-01', '2024-10-01', '2022-12-01'],
    list: async (subscriptionId, group) =>
      (await service.list(subscriptionId, group)).map(({ id, name, location, tags, kind }) => ({
        id,
        name,
        type: 'Microsoft.CognitiveServices/accounts',
        location,
        tags,
        kind,
      })),
  }
}

function showAccount(service: Accounts, account: Account): object {
  const { id, name, location, kind, sku, tags, identity, encryption, subdomain } = account
  const endpoint = service.options.endpoint(subdomain)
  return {
    id,
    name,
    type: 'Microsoft.CognitiveServices/accounts',
    location,
    kind,
    sku,
    tags,
    identity:
      identity === undefined
        ? { type: 'None' }
        : { type: 'SystemAssigned', principalId: identity.principalId, tenantId: identity.tenantId },
    properties: {
      provisioningState: 'Succeeded',
      endpoint,
      endpoints: { 'OpenAI Language Model Instance API': endpoint },
      customSubDomainName: subdomain,
      internalId: account.accountId,
      dateCreated: account.createdAt,
      disableLocalAuth: account.disableLocalAuth,
      publicNetworkAccess: 'Enabled',
      encryption: { ...encryption, status: service.options.keyStatuses.of(account.accountId) ?? { state: 'Active' } },
    },
  }
}

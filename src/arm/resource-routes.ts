import { NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { apiVersion } from './api-version.ts'
import type { ArmOptions } from './arm-options.ts'
import { LOCATIONS } from './locations.ts'
import { page } from './paging.ts'
import { resourceFilter } from './resource-filter.ts'
import type { GenericResource, ResourceType } from './resource-manager.ts'
import { allResources } from './resources.ts'

/** Types of Resource Manager's own, beside those of the providers. */
const OWN_TYPES = [
  { type: 'Microsoft.Resources/resourceGroups', apiVersions: ['2025-04-01', '2021-04-01'] },
  { type: 'Microsoft.Resources/subscriptions', apiVersions: ['2022-12-01', '2021-01-01'] },
  { type: 'Microsoft.Resources/tags', apiVersions: ['2025-04-01', '2021-04-01'] },
  { type: 'Microsoft.Authorization/roleAssignments', apiVersions: ['2022-04-01'] },
  { type: 'Microsoft.Authorization/roleDefinitions', apiVersions: ['2022-04-01'] },
  { type: 'Microsoft.CognitiveServices/accounts/deployments', apiVersions: ['2025-09-01', '2024-10-01'] },
  { type: 'Microsoft.Subscription/aliases', apiVersions: ['2021-10-01'] },
]

/** Lists over all providers, and the providers themselves. */
export function resourceRoutes(options: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0 } as const
  const list = (call: Call): Promise<Response> => listResources(options, call)
  const subscription = '/subscriptions/:subscriptionid'
  return [
    { ...base, path: `${subscription}/resources`, handler: list },
    { ...base, path: `${subscription}/resourcegroups/:group/resources`, handler: list },
    ...providerRoutes(options),
  ]
}

/** As Azure: lists those that the caller may read, without an error for others. */
async function listResources(options: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { resourceManager } = options
  const { subscriptionid = '', group } = call.params
  const { subscriptionId } = await resourceManager.subscription(subscriptionid)
  if (group !== undefined) {
    const action = 'Microsoft.Resources/subscriptions/resourceGroups/resources/read'
    await resourceManager.authorize(call.caller, `/subscriptions/${subscriptionId}/resourceGroups/${group}`, action)
    await resourceManager.group(subscriptionId, group)
  }
  const wanted = resourceFilter(call.query.get('$filter'))
  const may = await resourceManager.rights(call.caller, subscriptionId)
  const found = (await allResources(options.resourceTypes, subscriptionId, group)).filter(
    resource => wanted(resource) && may(resource.id, `${resource.type}/read`),
  )
  return page(call, found, (resource): GenericResource => resource)
}

function providerRoutes(options: ArmOptions): Route[] {
  const { resourceManager, resourceTypes, locations } = options
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0 } as const
  const types = [...resourceTypes, ...OWN_TYPES]
  const enter = async (call: Call, action: string): Promise<string> => {
    apiVersion(call)
    const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
    await resourceManager.authorize(
      call.caller,
      `/subscriptions/${subscriptionId}`,
      `Microsoft.Resources/subscriptions/${action}`,
    )
    return `/subscriptions/${subscriptionId}`
  }
  const one = (call: Call, at: string): Response => {
    const { namespace = '' } = call.params
    const found = showProviders(at, types, locations).find(
      provider => provider.namespace.toLowerCase() === namespace.toLowerCase(),
    )
    if (found !== undefined) return json(found)
    throw new NotFound(
      'InvalidResourceNamespace',
      `The resource namespace '${namespace.slice(0, 64)}' is invalid. Here are: ${namespacesOf(types).join(', ')}.`,
    )
  }
  const path = '/subscriptions/:subscriptionid/providers'
  return [
    {
      ...base,
      path,
      handler: async call => json({ value: showProviders(await enter(call, 'providers/read'), types, locations) }),
    },
    { ...base, path: `${path}/:namespace`, handler: async call => one(call, await enter(call, 'providers/read')) },
    ...['register', 'unregister'].map((verb): Route => ({
      ...base,
      method: 'POST',
      maxBody: 4096,
      path: `${path}/:namespace/${verb}`,
      // Providers are always registered here. Registering succeeds, and unregistering changes nothing.
      handler: async call => one(call, await enter(call, `providers/${verb}/action`)),
    })),
    {
      ...base,
      path: '/providers',
      handler: call => {
        apiVersion(call)
        return json({ value: showProviders('', types, locations) })
      },
    },
    {
      ...base,
      path: '/providers/:namespace',
      handler: call => {
        apiVersion(call)
        return one(call, '')
      },
    },
  ]
}

type NamedType = Pick<ResourceType, 'type' | 'apiVersions'>

function namespacesOf(types: readonly NamedType[]): string[] {
  return [...new Set(types.map(({ type }) => type.split('/')[0] ?? ''))]
}

function showProviders(at: string, types: readonly NamedType[], locations: readonly string[]): { namespace: string }[] {
  return namespacesOf(types).map(namespace => ({
    id: `${at}/providers/${namespace}`,
    namespace,
    registrationPolicy: 'RegistrationRequired',
    registrationState: 'Registered',
    resourceTypes: types
      .filter(({ type }) => type.startsWith(`${namespace}/`))
      .map(({ type, apiVersions }) => ({
        resourceType: type.slice(namespace.length + 1),
        apiVersions: [...apiVersions].sort().reverse(),
        locations: locations.map(name => LOCATIONS[name]?.displayName ?? name),
        capabilities: 'SupportsTags, SupportsLocation',
      })),
  }))
}

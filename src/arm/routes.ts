import { z } from 'zod'
import { AzureError } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { put, remove, type RecordStore } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { checkLocation } from './locations.ts'
import { groupKey, groups, subscriptions } from './records.ts'
import type { GenericResource, ResourceGroup, ResourceManager, ResourceType, Subscription } from './resource-manager.ts'

export interface ArmOptions {
  readonly records: RecordStore
  readonly resourceManager: ResourceManager
  readonly resourceTypes: readonly ResourceType[]
  readonly locations: readonly string[]
  readonly endpoints: { authority: string; resourceManager: string; portal: string; audiences: readonly string[] }
}

const KIB = 1024
const groupBody = z.object({ location: z.string().min(1).max(64), tags: z.record(z.string(), z.string()).optional() })

/** Routes of Resource Manager itself; providers bring their own. */
export function armRoutes(options: ArmOptions): Route[] {
  return [...rootRoutes(options), ...groupRoutes(options), ...resourceRoutes(options)]
}

function rootRoutes({ records, resourceTypes, locations, endpoints }: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', maxBody: 0, method: 'GET' } as const
  return [
    {
      ...base,
      auth: 'none',
      reason: 'clients read the endpoints before they can log in',
      path: '/metadata/endpoints',
      handler: () =>
        json({
          galleryEndpoint: endpoints.resourceManager,
          graphEndpoint: endpoints.authority,
          portalEndpoint: endpoints.portal,
          authentication: { loginEndpoint: endpoints.authority, audiences: endpoints.audiences },
        }),
    },
    {
      ...base,
      path: '/subscriptions',
      handler: async call => {
        apiVersion(call)
        const all = await records.list(subscriptions)
        const own = all.filter(
          ({ value }) => call.caller.type === 'principal' && value.tenantId === call.caller.tenantId,
        )
        return json({ value: own.map(({ value }) => showSubscription(value)) })
      },
    },
    {
      ...base,
      path: '/subscriptions/:subscriptionid/locations',
      handler: async call => {
        apiVersion(call)
        const scope = `/subscriptions/${call.params['subscriptionid']}`
        return json({ value: locations.map(name => ({ id: `${scope}/locations/${name}`, name, displayName: name })) })
      },
    },
    {
      ...base,
      path: '/subscriptions/:subscriptionid/providers',
      handler: call => {
        apiVersion(call)
        return json({ value: showProviders(String(call.params['subscriptionid']), resourceTypes) })
      },
    },
  ]
}

type GroupWhere = { readonly subscriptionId: string; readonly name: string }

async function enterGroup({ resourceManager }: ArmOptions, call: Call, action: string): Promise<GroupWhere> {
  apiVersion(call)
  const { subscriptionid = '', group = '' } = call.params
  const { subscriptionId } = await resourceManager.subscription(subscriptionid)
  const scope = `/subscriptions/${subscriptionId}${group === '' ? '' : `/resourceGroups/${group}`}`
  await resourceManager.authorize(call.caller, scope, `Microsoft.Resources/subscriptions/resourceGroups/${action}`)
  return { subscriptionId, name: group }
}

const GROUP = {
  host: 'management',
  auth: 'management',
  path: '/subscriptions/:subscriptionid/resourcegroups/:group',
  maxBody: 0,
} as const

function groupRoutes(options: ArmOptions): Route[] {
  const { records, resourceManager } = options
  return [
    { ...GROUP, method: 'PUT', maxBody: 64 * KIB, handler: call => putGroup(options, call) },
    { ...GROUP, method: 'DELETE', handler: call => deleteGroup(options, call) },
    {
      ...GROUP,
      method: 'GET',
      handler: async call => {
        const { subscriptionId, name } = await enterGroup(options, call, 'read')
        return json(showGroup(await resourceManager.group(subscriptionId, name)))
      },
    },
    {
      ...GROUP,
      method: 'HEAD',
      handler: async call => {
        const { subscriptionId, name } = await enterGroup(options, call, 'read')
        return empty((await records.get(groups, groupKey(subscriptionId, name))) === undefined ? 404 : 204)
      },
    },
    {
      ...GROUP,
      method: 'GET',
      path: '/subscriptions/:subscriptionid/resourcegroups',
      handler: async call => {
        const { subscriptionId } = await enterGroup(options, call, 'read')
        const all = await records.list(groups, { prefix: `${subscriptionId}/` })
        return json({ value: all.map(({ value }) => showGroup(value)) })
      },
    },
  ]
}

async function putGroup(options: ArmOptions, call: Call): Promise<Response> {
  const { records, locations } = options
  const { subscriptionId, name } = await enterGroup(options, call, 'write')
  const group = newGroup(subscriptionId, checkGroupName(name), await call.json(groupBody), locations)
  const before = await records.get(groups, groupKey(subscriptionId, name))
  if (before !== undefined && before.value.location !== group.location) {
    throw new AzureError(
      'InvalidResourceGroupLocation',
      409,
      `The resource group '${name}' already exists in location '${before.value.location}'. A group's location can't be changed.`,
    )
  }
  const value = before === undefined ? group : { ...group, id: before.value.id, name: before.value.name }
  await records.commit([put(groups, groupKey(subscriptionId, name), value, before?.version ?? 0)])
  return json(showGroup(value), { status: before === undefined ? 201 : 200 })
}

async function deleteGroup(options: ArmOptions, call: Call): Promise<Response> {
  const { records, resourceManager, resourceTypes } = options
  const { subscriptionId, name } = await enterGroup(options, call, 'delete')
  const group = await resourceManager.group(subscriptionId, name)
  const inside = (await Promise.all(resourceTypes.map(type => type.list(subscriptionId, group.name)))).flat()
  if (inside.length > 0) {
    throw new AzureError(
      'ResourceGroupNotEmpty',
      409,
      `The resource group '${name}' still holds ${inside.length} resource(s), the first is '${inside[0]?.id}'. Delete them first.`,
    )
  }
  await records.commit([remove(groups, groupKey(subscriptionId, name))])
  return empty(200)
}

function resourceRoutes({ resourceManager, resourceTypes }: ArmOptions): Route[] {
  const list = async (call: Call): Promise<Response> => {
    apiVersion(call)
    const { subscriptionId } = await resourceManager.subscription(String(call.params['subscriptionid']))
    await resourceManager.authorize(
      call.caller,
      `/subscriptions/${subscriptionId}`,
      'Microsoft.Resources/subscriptions/resources/read',
    )
    const wanted = resourceTypes.filter(typeFilter(call.query.get('$filter')))
    const found = await Promise.all(wanted.map(type => type.list(subscriptionId, call.params['group'])))
    return json({ value: found.flat() satisfies GenericResource[] })
  }
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0, handler: list } as const
  return [
    { ...base, path: '/subscriptions/:subscriptionid/resources' },
    { ...base, path: '/subscriptions/:subscriptionid/resourcegroups/:group/resources' },
  ]
}

/** Understands `resourceType eq '<type>'`, what az and the SDKs send. @throws 400 InvalidFilterInQueryString */
function typeFilter(filter: string | undefined): (type: ResourceType) => boolean {
  if (filter === undefined || filter === '') return () => true
  const match = /^\s*resourceType\s+eq\s+'([^']{1,200})'\s*$/i.exec(filter)
  if (match === null) {
    throw new AzureError(
      'InvalidFilterInQueryString',
      400,
      "The $filter is not understood. Use: resourceType eq 'Microsoft.KeyVault/vaults'.",
    )
  }
  const wanted = match[1]?.toLowerCase()
  return type => type.type.toLowerCase() === wanted
}

function checkGroupName(name: string): string {
  if (/^[\p{L}\p{N}_.()-]{1,90}$/u.test(name) && !name.endsWith('.')) return name
  throw new AzureError(
    'InvalidResourceGroup',
    400,
    `The resource group name '${name.slice(0, 100)}' is invalid: 1 to 90 letters, digits, '_', '-', '.', '(' and ')', not ending in '.'.`,
  )
}

function newGroup(
  subscriptionId: string,
  name: string,
  body: z.infer<typeof groupBody>,
  locations: readonly string[],
): ResourceGroup {
  const location = checkLocation(body.location, locations)
  return {
    id: `/subscriptions/${subscriptionId}/resourceGroups/${name}`,
    name,
    subscriptionId,
    location,
    tags: body.tags ?? {},
  }
}

function showGroup(group: ResourceGroup): object {
  const { id, name, location, tags } = group
  return {
    id,
    name,
    type: 'Microsoft.Resources/resourceGroups',
    location,
    tags,
    properties: { provisioningState: 'Succeeded' },
  }
}

function showSubscription(subscription: Subscription): object {
  return {
    id: `/subscriptions/${subscription.subscriptionId}`,
    ...subscription,
    authorizationSource: 'RoleBased',
    managedByTenants: [],
    subscriptionPolicies: {
      locationPlacementId: 'Public_2014-09-01',
      quotaId: 'PayAsYouGo_2014-09-01',
      spendingLimit: 'Off',
    },
  }
}

function showProviders(subscriptionId: string, types: readonly ResourceType[]): object[] {
  const namespaces = [...new Set(types.map(type => type.type.split('/')[0] ?? ''))]
  return namespaces.map(namespace => ({
    id: `/subscriptions/${subscriptionId}/providers/${namespace}`,
    namespace,
    registrationState: 'Registered',
    resourceTypes: types
      .filter(type => type.type.startsWith(`${namespace}/`))
      .map(type => ({
        resourceType: type.type.slice(namespace.length + 1),
        apiVersions: type.apiVersions,
        locations: [],
      })),
  }))
}

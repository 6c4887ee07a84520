import { z } from 'zod'
import { AzureError } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { put } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { deleteGroup } from './delete-group.ts'
import { invalidFilter, parseFilter } from './filter.ts'
import { checkLocation } from './locations.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { page } from './paging.ts'
import { groupKey, groups } from './records.ts'
import type { ResourceGroup } from './resource-manager.ts'
import { tagsBody } from './tags.ts'

const groupBody = z.object({ location: z.string().min(1).max(64), tags: tagsBody.nullish() })
const patchBody = z.object({ tags: tagsBody.nullish() })

const MAX_GROUPS = 980
const KIB = 1024
const EXAMPLE = "tagName eq 'team' and tagValue eq 'blue'"

type GroupWhere = { readonly subscriptionId: string; readonly name: string; readonly scope: string }

async function enter({ resourceManager }: ArmOptions, call: Call, action: string): Promise<GroupWhere> {
  apiVersion(call)
  const { subscriptionid = '', group = '' } = call.params
  const { subscriptionId } = await resourceManager.subscription(subscriptionid)
  const scope = `/subscriptions/${subscriptionId}${group === '' ? '' : `/resourceGroups/${group}`}`
  await resourceManager.authorize(call.caller, scope, `Microsoft.Resources/subscriptions/resourceGroups/${action}`)
  return { subscriptionId, name: group, scope }
}

const GROUP = {
  host: 'management',
  auth: 'management',
  path: '/subscriptions/:subscriptionid/resourcegroups/:group',
  maxBody: 0,
} as const

export function groupRoutes(options: ArmOptions): Route[] {
  const { records, resourceManager } = options
  return [
    { ...GROUP, method: 'PUT', maxBody: 64 * KIB, handler: call => putGroup(options, call) },
    { ...GROUP, method: 'PATCH', maxBody: 64 * KIB, handler: call => patchGroup(options, call) },
    {
      ...GROUP,
      method: 'DELETE',
      handler: async call => {
        const { subscriptionId, name } = await enter(options, call, 'delete')
        return deleteGroup(options, call, await resourceManager.group(subscriptionId, name))
      },
    },
    {
      ...GROUP,
      method: 'GET',
      handler: async call => {
        const { subscriptionId, name } = await enter(options, call, 'read')
        return json(showGroup(await resourceManager.group(subscriptionId, name)))
      },
    },
    {
      ...GROUP,
      method: 'HEAD',
      handler: async call => {
        const { subscriptionId, name } = await enter(options, call, 'read')
        return empty(
          name.length <= 90 && (await records.get(groups, groupKey(subscriptionId, name))) !== undefined ? 204 : 404,
        )
      },
    },
    {
      ...GROUP,
      method: 'GET',
      path: '/subscriptions/:subscriptionid/resourcegroups',
      handler: call => listGroups(options, call),
    },
  ]
}

/** As Azure: lists those that the caller may read, without an error for others. */
async function listGroups({ records, resourceManager }: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
  const may = await resourceManager.rights(call.caller, subscriptionId)
  const wanted = groupFilter(call.query.get('$filter'))
  const all = await allRecords(records, groups, { prefix: `${subscriptionId}/` })
  const found = all.filter(
    ({ value }) => wanted(value) && may(value.id, 'Microsoft.Resources/subscriptions/resourceGroups/read'),
  )
  return page(call, found, ({ value }) => showGroup(value))
}

function groupFilter(filter: string | undefined): (group: ResourceGroup) => boolean {
  const terms = parseFilter(filter, EXAMPLE)
  const value = (field: string): string | undefined => {
    const term = terms.find(known => known.type === 'compare' && known.field === field && known.operator === 'eq')
    return term?.type === 'compare' ? term.value : undefined
  }
  const strange = terms.find(
    term => term.type !== 'compare' || term.operator !== 'eq' || !['tagname', 'tagvalue'].includes(term.field),
  )
  if (strange !== undefined) throw invalidFilter('groups are filtered by tagName and tagValue', EXAMPLE)
  const [name, text] = [value('tagname'), value('tagvalue')]
  return ({ tags }) =>
    Object.entries(tags).some(
      ([key, given]) =>
        (name === undefined || key.toLowerCase() === name.toLowerCase()) && (text === undefined || given === text),
    ) || terms.length === 0
}

async function putGroup(options: ArmOptions, call: Call): Promise<Response> {
  const { records, resourceManager } = options
  const { subscriptionId, name } = await enter(options, call, 'write')
  const group = newGroup(subscriptionId, checkGroupName(name), await call.json(groupBody), options.locations)
  const key = groupKey(subscriptionId, name)
  const before = await records.get(groups, key)
  if (before !== undefined) await resourceManager.groupForNew(subscriptionId, name)
  if (before !== undefined && before.value.location !== group.location) {
    throw new AzureError(
      'InvalidResourceGroupLocation',
      409,
      `Invalid resource group location '${group.location}'. The Resource group already exists in location '${before.value.location}', which can't be changed.`,
    )
  }
  if (before === undefined && (await records.count(groups, `${subscriptionId}/`)) >= MAX_GROUPS) {
    throw new AzureError(
      'ResourceGroupQuotaExceeded',
      409,
      `The subscription has ${MAX_GROUPS} resource groups already. Delete some first.`,
    )
  }
  const value = before === undefined ? group : { ...before.value, tags: group.tags }
  await save(options, value, before?.version ?? 0)
  return json(showGroup(value), { status: before === undefined ? 201 : 200 })
}

async function patchGroup(options: ArmOptions, call: Call): Promise<Response> {
  const { subscriptionId, name } = await enter(options, call, 'write')
  const { tags } = await call.json(patchBody)
  const before = await options.records.get(groups, groupKey(subscriptionId, name))
  // Afterwards, so that a deletion that begins in between is not undone.
  const { group } = await options.resourceManager.groupForNew(subscriptionId, name)
  const value = { ...group, tags: tags ?? group.tags }
  await save(options, value, before?.version ?? 0)
  return json(showGroup(value))
}

async function save({ audit }: ArmOptions, group: ResourceGroup, version: number): Promise<void> {
  const entry = armAudit('Microsoft.Resources/subscriptions/resourceGroups/write', group.id)
  await audit
    .append(entry, [put(groups, groupKey(group.subscriptionId, group.name), group, version)])
    .catch(changedMeanwhile('The resource group'))
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
  const { id, name, location, tags, deleting } = group
  return {
    id,
    name,
    type: 'Microsoft.Resources/resourceGroups',
    location,
    tags,
    properties: { provisioningState: deleting === undefined ? 'Succeeded' : 'Deleting' },
  }
}

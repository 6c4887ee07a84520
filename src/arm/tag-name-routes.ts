import { AzureError, NotFound } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { put, remove } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { groups, tagNames } from './records.ts'
import { allResources } from './resources.ts'

const PATH = '/subscriptions/:subscriptionid/tagnames'

/** The tag names of a subscription: those in use, and those that were created before any resource has them. */
export function tagNameRoutes(options: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', maxBody: 0, path: `${PATH}/:tag` } as const
  const enter = async (call: Call, action: string): Promise<string> => {
    apiVersion(call)
    const { subscriptionId } = await options.resourceManager.subscription(call.params['subscriptionid'] ?? '')
    const id = `/subscriptions/${subscriptionId}`
    await options.resourceManager.authorize(call.caller, id, `Microsoft.Resources/subscriptions/tagNames/${action}`)
    return subscriptionId
  }
  return [
    ...valueRoutes(options, enter),
    {
      ...base,
      method: 'GET',
      path: PATH,
      handler: async call => json({ value: await inUse(options, await enter(call, 'read')) }),
    },
    {
      ...base,
      method: 'PUT',
      maxBody: 1024,
      handler: async call => {
        const subscriptionId = await enter(call, 'write')
        const tagName = checkTagName(call.params['tag'] ?? '')
        const key = `${subscriptionId}/${tagName.toLowerCase()}`
        const known = await options.records.get(tagNames, key)
        const entry = armAudit('Microsoft.Resources/subscriptions/tagNames/write', `/subscriptions/${subscriptionId}`, {
          tagName,
        })
        if (known === undefined)
          await options.audit.append(entry, [put(tagNames, key, { tagName }, 0)]).catch(changedMeanwhile('The tag'))
        return json(shown(subscriptionId, known?.value.tagName ?? tagName, new Map()), {
          status: known === undefined ? 201 : 200,
        })
      },
    },
    {
      ...base,
      method: 'DELETE',
      handler: async call => {
        const subscriptionId = await enter(call, 'delete')
        const key = `${subscriptionId}/${checkTagName(call.params['tag'] ?? '').toLowerCase()}`
        const known = await options.records.get(tagNames, key)
        if (known === undefined) return empty(204)
        const entry = armAudit(
          'Microsoft.Resources/subscriptions/tagNames/delete',
          `/subscriptions/${subscriptionId}`,
          known.value,
        )
        await options.audit.append(entry, [remove(tagNames, key)])
        return empty(200)
      },
    },
  ]
}

/** Values of a tag name that was created: at most as many as Azure takes. */
const MAX_VALUES = 1000

function valueRoutes(options: ArmOptions, enter: (call: Call, action: string) => Promise<string>): Route[] {
  const path = `${PATH}/:tag/tagvalues/:value`
  const base = { host: 'management', auth: 'management', path } as const
  /** The name with its values, and the value that the path names. */
  const find = async (call: Call, verb: 'write' | 'delete') => {
    const subscriptionId = await enter(call, `tagValues/${verb}`)
    const tagName = checkTagName(call.params['tag'] ?? '')
    const key = `${subscriptionId}/${tagName.toLowerCase()}`
    const known = await options.records.get(tagNames, key)
    if (known === undefined) throw new NotFound('TagNotFound', `There is no tag name '${tagName}'. Create it first.`)
    const tagValue = call.params['value'] ?? ''
    if (tagValue.length > 256) throw new AzureError('InvalidTagValue', 400, 'A tag value has at most 256 characters.')
    const store = async (values: readonly string[]): Promise<void> => {
      const operation = `Microsoft.Resources/subscriptions/tagNames/tagValues/${verb}`
      const entry = armAudit(operation, `/subscriptions/${subscriptionId}`, { tagName, tagValue })
      const changed = put(tagNames, key, { ...known.value, values }, known.version)
      await options.audit.append(entry, [changed]).catch(changedMeanwhile('The tag'))
    }
    return { subscriptionId, tagName: known.value.tagName, tagValue, values: known.value.values ?? [], store }
  }
  return [
    {
      ...base,
      method: 'PUT',
      maxBody: 1024,
      handler: async call => {
        const { subscriptionId, tagName, tagValue, values, store } = await find(call, 'write')
        const isNew = !values.includes(tagValue)
        if (isNew && values.length >= MAX_VALUES)
          throw new AzureError('TooManyTagValues', 400, `A tag name has at most ${MAX_VALUES} values.`)
        if (isNew) await store([...values, tagValue])
        const id = `/subscriptions/${subscriptionId}/tagNames/${tagName}/tagValues/${tagValue}`
        return json({ id, tagValue, count: { type: 'Total', value: 0 } }, { status: isNew ? 201 : 200 })
      },
    },
    {
      ...base,
      method: 'DELETE',
      maxBody: 0,
      handler: async call => {
        const { tagValue, values, store } = await find(call, 'delete')
        if (!values.includes(tagValue)) return empty(204)
        await store(values.filter(value => value !== tagValue))
        return empty(200)
      },
    },
  ]
}

async function inUse({ records, resourceTypes }: ArmOptions, subscriptionId: string): Promise<object[]> {
  const names = new Map<string, Map<string, number>>()
  const created = await allRecords(records, tagNames, { prefix: `${subscriptionId}/` })
  for (const { value } of created) names.set(value.tagName, new Map((value.values ?? []).map(one => [one, 0])))
  const inGroups = await allRecords(records, groups, { prefix: `${subscriptionId}/` })
  const all = [...(await allResources(resourceTypes, subscriptionId)), ...inGroups.map(({ value }) => value)]
  for (const { tags } of all) {
    for (const [name, value] of Object.entries(tags ?? {})) {
      const values = names.get(name) ?? new Map<string, number>()
      names.set(name, values.set(value, (values.get(value) ?? 0) + 1))
    }
  }
  return [...names].map(([tagName, values]) => shown(subscriptionId, tagName, values))
}

function shown(subscriptionId: string, tagName: string, values: ReadonlyMap<string, number>): object {
  const id = `/subscriptions/${subscriptionId}/tagNames/${tagName}`
  const count = (value: number): object => ({ type: 'Total', value })
  return {
    id,
    tagName,
    count: count([...values.values()].reduce((sum, one) => sum + one, 0)),
    values: [...values].map(([tagValue, times]) => ({
      id: `${id}/tagValues/${tagValue}`,
      tagValue,
      count: count(times),
    })),
  }
}

function checkTagName(name: string): string {
  if (name.length <= 512 && /^[^<>%&\\?/]+$/.test(name)) return name
  throw new AzureError('InvalidTagName', 400, 'A tag name has 1 to 512 characters, without < > % & \\ ? /.')
}

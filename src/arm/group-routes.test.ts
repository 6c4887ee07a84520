import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call } from '../http/route.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type Change } from '../store/records.ts'
import type { ArmOptions } from './arm-options.ts'
import { groupRoutes } from './group-routes.ts'
import { openResourceManager } from './open-resource-manager.ts'
import { groupKey, groups, subscriptions } from './records.ts'
import type { ResourceGroup, ResourceManager, Subscription } from './resource-manager.ts'

const subscriptionId = 'dddddddd-0000-4000-8000-000000000001'
const key = groupKey(subscriptionId, 'g')
const group = { id: `/subscriptions/${subscriptionId}/resourceGroups/g`, name: 'g', subscriptionId } as ResourceGroup

test('new tags of a group do not take back its deletion, which began at the same moment', async () => {
  const records = openMemoryRecords()
  await records.commit([
    put(subscriptions, subscriptionId, { subscriptionId } as Subscription),
    put(groups, key, group),
  ])
  const inner = openResourceManager(records)
  const groupForNew: ResourceManager['groupForNew'] = async (...of) => {
    const found = await inner.groupForNew(...of)
    await records.commit([put(groups, key, { ...group, deleting: 'operation' })])
    return found
  }
  const resourceManager = { ...inner, authorize: async () => {}, groupForNew }
  const audit = { append: (_: unknown, changes: readonly Change[] = []) => records.commit(changes) }
  const routes = groupRoutes({ records, resourceManager, audit } as unknown as ArmOptions)
  const patch = routes.find(({ method }) => method === 'PATCH')
  const call = {
    params: { subscriptionid: subscriptionId, group: 'g' },
    query: new Map([['api-version', '2021-04-01']]),
    json: async () => ({ tags: { a: 'b' } }),
  } as unknown as Call
  await assert.rejects(async () => patch?.handler(call), { status: 409 })
  assert.equal((await records.get(groups, key))?.value.deleting, 'operation')
})

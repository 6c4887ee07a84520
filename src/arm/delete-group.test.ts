import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditSink } from '../audit/audit-event.ts'
import { systemEnv } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { collection, put, remove, type Change, type RecordStore } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { StorageRefused } from '../store/storage-errors.ts'
import type { ArmOptions } from './arm-options.ts'
import { deleteGroup, resumeGroupDeletions } from './delete-group.ts'
import { Operations } from './operations.ts'
import { groupKey, groups } from './records.ts'
import type { ResourceGroup, ResourceManager } from './resource-manager.ts'

test('a group whose deletion fails on a full disk takes resources again when the failure can be seen', async () => {
  const inner = openMemoryRecords()
  const full = { is: false }
  const commit: RecordStore['commit'] = async (...given) => {
    if (full.is) throw new StorageRefused('full')
    return inner.commit(...given)
  }
  const records = Object.assign(new ForwardedRecords(inner), { commit })
  const key = groupKey('s', 'g')
  const group = { id: '/subscriptions/s/resourceGroups/g', name: 'g', subscriptionId: 's', tags: {} }
  await records.commit([put(groups, key, group as unknown as ResourceGroup)])
  const audit: AuditSink = { append: (_, changes = [], options) => records.commit(changes, options) }
  const resourceManager = {} as ResourceManager
  const leases = openLeases(records, Date.now)
  const operations = new Operations({ records, env: systemEnv, leases, resourceManager, log: () => {} })
  const failing = {
    list: async () => [{}],
    delete: async () => {
      full.is = true
      throw new StorageRefused('full')
    },
  }
  const options = { records, env: systemEnv, audit, operations, resourceTypes: [failing] } as unknown as ArmOptions
  const call = { caller: { type: 'principal', objectId: 'o' }, origin: '', query: new URLSearchParams() }
  const found = (await records.get(groups, key))?.value as ResourceGroup
  assert.equal((await deleteGroup(options, call as unknown as Call, found)).status, 202)
  await new Promise(setImmediate)
  const [open] = await operations.open()
  assert.ok(open)
  assert.equal((await records.get(groups, key))?.value.deleting, open.value.operationId)
  full.is = false
  while ((await operations.open()).length > 0) await new Promise(setImmediate)
  assert.deepEqual((await records.get(groups, key))?.value, group)
})

test('a process that stood still while it deleted a group takes nothing from a later group of that name', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const clock = { ms: 0 }
  const things = collection<object>('things')
  const key = groupKey('s', 'g')
  const group = { id: '/subscriptions/s/resourceGroups/g', name: 'g', subscriptionId: 's', tags: {} }
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const processOn = (wait?: () => Promise<void>) => {
    const records = shared.open()
    const audit: AuditSink = { append: (_, changes = [], options) => records.commit(changes, options) }
    const env = { ...systemEnv, now: () => Date.now() + clock.ms }
    const leases = openLeases(records, env.now)
    const operations = new Operations({ records, env, leases, resourceManager: {} as ResourceManager, log: () => {} })
    const type = {
      list: async () => (await records.list(things, { limit: 10 })).map(({ id }) => ({ name: id })),
      delete: async ({ name }: { name: string }, fence: readonly Change[]) => {
        await wait?.()
        await records.commit([...fence, remove(things, name)])
      },
    }
    return {
      records,
      operations,
      options: { records, env, audit, operations, resourceTypes: [type] } as unknown as ArmOptions,
    }
  }
  const still = processOn(() => (begun.resolve(), go.promise))
  const other = processOn()
  await other.records.commit([put(groups, key, group as unknown as ResourceGroup), put(things, 'a', {})])
  const call = { caller: { type: 'principal', objectId: 'o' }, origin: '', query: new URLSearchParams() }
  await deleteGroup(still.options, call as unknown as Call, group as unknown as ResourceGroup)
  await begun.promise
  clock.ms += 60_000
  await resumeGroupDeletions(other.options, await other.operations.open())
  await other.operations.settle()
  assert.equal(await other.records.get(groups, key), undefined)
  await other.records.commit([
    put(groups, key, group as unknown as ResourceGroup, 0),
    put(things, 'a', { later: true }),
  ])
  go.resolve()
  await still.operations.settle()
  assert.deepEqual((await other.records.get(things, 'a'))?.value, { later: true })
  assert.deepEqual((await other.records.get(groups, key))?.value, group)
})

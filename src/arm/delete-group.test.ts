import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditSink } from '../audit/audit-event.ts'
import { systemEnv } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type RecordStore } from '../store/records.ts'
import { StorageRefused } from '../store/storage-errors.ts'
import type { ArmOptions } from './arm-options.ts'
import { deleteGroup } from './delete-group.ts'
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

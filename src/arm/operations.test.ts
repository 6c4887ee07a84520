import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import type { RecordStore } from '../store/records.ts'
import { Operations } from './operations.ts'
import type { ResourceManager } from './resource-manager.ts'

const call = { caller: { type: 'principal', objectId: 'o' }, origin: '', query: new URLSearchParams() } as unknown as Call
const what = { subscriptionId: 's', resourceId: '/r', operationId: 'one' }

function operationsOver(records: RecordStore): Operations {
  const resourceManager = {} as ResourceManager
  return new Operations({ records, env: systemEnv, leases: openLeases(records, Date.now), resourceManager, log: () => {} })
}

test('an operation that ended after it was read is not done again', async () => {
  const operations = operationsOver(openMemoryRecords())
  const go = Promise.withResolvers<void>()
  let times = 0
  const work = async (): Promise<void> => {
    times += 1
    await go.promise
  }
  await operations.start(call, what, work)
  const [open] = await operations.open()
  assert.ok(open)
  await operations.resume(open, work)
  go.resolve()
  await operations.settle()
  await operations.resume(open, work)
  await operations.giveUp([open])
  await operations.settle()
  assert.equal(times, 1)
  assert.equal((await operations.find('s', 'one')).status, 'Succeeded')
})

test('an operation that nobody works on any more is taken up', async () => {
  const records = openMemoryRecords()
  const never = operationsOver(records)
  await never.start(call, what, () => new Promise(() => {}))
  const operations = operationsOver(records)
  const [open] = await operations.open()
  assert.ok(open)
  let times = 0
  await operations.resume(open, async () => void (times += 1))
  await operations.settle()
  assert.equal(times, 1)
  assert.equal((await operations.find('s', 'one')).status, 'Succeeded')
})

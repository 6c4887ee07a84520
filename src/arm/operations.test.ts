import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemEnv } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { collection, put, type RecordStore } from '../store/records.ts'
import { StorageRefused } from '../store/storage-errors.ts'
import { Operations } from './operations.ts'
import type { ResourceManager } from './resource-manager.ts'

const call = {
  caller: { type: 'principal', objectId: 'o' },
  origin: '',
  query: new URLSearchParams(),
} as unknown as Call
const what = { subscriptionId: 's', resourceId: '/r', operationId: 'one' }

function operationsOver(records: RecordStore): Operations {
  const resourceManager = {} as ResourceManager
  return new Operations({
    records,
    env: systemEnv,
    leases: openLeases(records, Date.now),
    resourceManager,
    log: () => {},
  })
}

test('an operation that ended after it was read is not done again', async () => {
  const operations = operationsOver(openMemoryRecords())
  const go = Promise.withResolvers<void>()
  let times = 0
  const work = async (): Promise<void> => {
    times += 1
    await go.promise
  }
  await operations.start(call, what, { run: work })
  const [open] = await operations.open()
  assert.ok(open)
  await operations.resume(open, { run: work })
  go.resolve()
  await operations.settle()
  await operations.resume(open, { run: work })
  await operations.giveUp([open])
  await operations.settle()
  assert.equal(times, 1)
  assert.equal((await operations.find('s', 'one')).status, 'Succeeded')
})

test('an operation that nobody works on any more is taken up', async () => {
  const records = openMemoryRecords()
  const never = operationsOver(records)
  await never.start(call, what, { run: () => new Promise(() => {}) })
  const operations = operationsOver(records)
  const [open] = await operations.open()
  assert.ok(open)
  let times = 0
  await operations.resume(open, { run: async () => void (times += 1) })
  await operations.settle()
  assert.equal(times, 1)
  assert.equal((await operations.find('s', 'one')).status, 'Succeeded')
})

test('what an operation that failed undoes is recorded with its end, as soon as a full disk takes it', async () => {
  const records = openMemoryRecords()
  const marks = collection<string>('marks')
  let refusals = 2
  const commit: RecordStore['commit'] = async (changes, options) => {
    if (options?.reserve !== undefined && (refusals -= 1) >= 0) throw new StorageRefused('full')
    return records.commit(changes, options)
  }
  const operations = operationsOver(Object.assign(new ForwardedRecords(records), { commit }))
  const run = async (): Promise<void> => Promise.reject(new StorageRefused('full'))
  await operations.start(call, what, { run, undo: async () => [put(marks, 'm', `${refusals} left`)] })
  for (let looks = 0; (await operations.find('s', 'one')).status === 'Running'; looks += 1) {
    assert.equal(await records.get(marks, 'm'), undefined)
    assert.ok(looks < 500)
    await sleep(10)
  }
  assert.equal((await operations.find('s', 'one')).status, 'Failed')
  assert.equal((await records.get(marks, 'm'))?.value, '0 left')
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { KeyRing } from '../encryption/key-ring.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put } from '../store/records.ts'
import { jobEvents, type JobEvent } from './records.ts'
import { resealRecords } from './reseal.ts'

test('looking through many losses that are sealed anew already lets others run in between', async () => {
  const records = openMemoryRecords()
  const accountId = 'a'
  const sealed = { generation: 2, sealed: '' }
  const events = Array.from({ length: 2000 }, (_, n) =>
    put(jobEvents, `${accountId}/j/${String(n).padStart(6, '0')}`, { id: String(n), sealed } as unknown as JobEvent),
  )
  await records.commit(events)
  const byGeneration = new Map([[2, createSecretKey(randomBytes(32))]])
  const ring = { leases: { keys: async () => ({ current: 2, byGeneration }) } } as unknown as KeyRing
  let turns = 0
  let isDone = false
  const turn = (): void => {
    turns += 1
    if (!isDone) setImmediate(turn)
  }
  setImmediate(turn)
  assert.equal(await resealRecords(records, ring, accountId), 0)
  isDone = true
  assert.ok(turns >= 3, `${turns} turns`)
})

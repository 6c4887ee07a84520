import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { controlledClock } from './controlled-clock.ts'

test('a store that other processes write into has no clock that can be moved', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  await assert.rejects(controlledClock(systemEnv).load(shared.open()), /--clock-control/)
  const alone = controlledClock(systemEnv)
  const records = openMemoryRecords()
  await records.commit([alone.change(5000)])
  await alone.load(records)
  assert.equal(alone.offset(), 5000)
})

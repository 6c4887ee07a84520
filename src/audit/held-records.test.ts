import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldRecords } from './held-records.ts'

const entry = (operationName: string, n: number) => ({
  time: new Date(n).toISOString(),
  operationName,
  category: 'AuditEvent',
  resultType: 'Success' as const,
})

test('records that wait are returned in order, once, and beyond a bound as counts that add up', () => {
  const held = new HeldRecords()
  for (let n = 0; n < 2000; n += 1) held.hold(entry('read', n))
  for (let n = 2000; n < 5000; n += 1) held.hold(entry(`read ${n % 2}`, n))
  for (let n = 5000; n < 8000; n += 1) held.hold(entry(`another ${n}`, n))
  assert.equal(held.size, 8000)
  const taken = held.take()
  assert.ok(taken.length <= 3001, 'memory is bounded')
  assert.equal(taken[0]?.time, entry('', 0).time)
  const counts = taken.map(({ properties }) => (properties as { aggregatedCount?: number })?.aggregatedCount ?? 1)
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    8000,
  )
  assert.equal(held.size, 0)
  assert.deepEqual(held.take(), [])
})

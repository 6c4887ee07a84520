import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RefusalLimit } from './refusal-limit.ts'

const entry = (resourceId: string, callerIpAddress = '10.0.0.1') => ({
  time: '2026-01-01T00:00:00.000Z',
  operationName: 'Authentication',
  category: 'AuditEvent',
  resultType: 'Failed' as const,
  resourceId,
  callerIpAddress,
})

test('a flood of refusals is recorded one by one up to the burst, and counted after that', () => {
  let now = 0
  const limit = new RefusalLimit({ burst: 3, perMinute: 1, totalBurst: 100, totalPerMinute: 100 }, () => now)
  const admitted = Array.from({ length: 50 }, (_, index) => limit.admits(entry('/A', `10.0.0.${index}`)))
  assert.equal(admitted.filter(Boolean).length, 3)
  const [counted, ...more] = limit.takeCounted()
  assert.deepEqual(more, [])
  const properties = counted?.properties as { aggregatedCount: number; callerIpAddresses: string[] }
  assert.equal(properties.aggregatedCount, 47)
  assert.equal(properties.callerIpAddresses.length, 20)
  assert.deepEqual(limit.takeCounted(), [])
  now += 60_000
  assert.equal(limit.admits(entry('/A')), true)
  assert.equal(limit.admits(entry('/A')), false)
})

test('one resource under attack does not hide the refusals of another, until the whole cloud is flooded', () => {
  const limit = new RefusalLimit({ burst: 2, perMinute: 0, totalBurst: 5, totalPerMinute: 0 }, () => 0)
  const admitted = (name: string) => [1, 2, 3].filter(() => limit.admits(entry(name))).length
  assert.deepEqual(['/A', '/B', '/C', '/D'].map(admitted), [2, 2, 1, 0])
  assert.equal(limit.takeCounted().length, 4)
})

test('floods over very many resources stay bounded in memory and in records', () => {
  const limit = new RefusalLimit({ burst: 0, perMinute: 0, totalBurst: 0, totalPerMinute: 0 }, () => 0)
  for (let index = 0; index < 20_000; index++) limit.admits(entry(`/R${index}`))
  const counted = limit.takeCounted()
  assert.ok(counted.length <= 101, String(counted.length))
  const sum = counted.reduce((total, one) => total + (one.properties as { aggregatedCount: number }).aggregatedCount, 0)
  assert.equal(sum, 20_000)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { checkId, newId } from './ids.ts'

test('ids sort by their creation, also those of one millisecond', () => {
  let now = 1_700_000_000_000
  const env = { ...systemEnv, now: () => now }
  const ids: string[] = []
  for (let n = 0; n < 5000; n++) {
    if (n % 1000 === 0) now += 1
    ids.push(checkId(newId(env, 'ftevent-'), 'ftevent-', 'event'))
  }
  assert.deepEqual(ids.toSorted(), ids)
  assert.equal(new Set(ids).size, ids.length)
})

test('new ids sort behind existing ones also when the clock was set back', () => {
  let now = 1_700_000_000_000
  const env = { ...systemEnv, now: () => now }
  const first = newId(env, 'file-')
  now -= 86_400_000
  const second = newId(env, 'file-')
  // As after a restart, when nothing is remembered.
  const ofFuture = `file-${(2_000_000_000_000).toString(16).padStart(12, '0')}${'f'.repeat(20)}`
  const third = newId(env, 'file-', ofFuture)
  const fourth = newId(env, 'file-')
  assert.deepEqual([fourth, third, second, first].toSorted(), [first, second, third, fourth])
  assert.ok(third > ofFuture)
  for (const id of [first, second, third, fourth]) checkId(id, 'file-', 'file')
})

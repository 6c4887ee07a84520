import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../env.ts'
import { checkId, newId } from './ids.ts'

test('ids sort by their creation, those of one millisecond too, and no two are the same', () => {
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

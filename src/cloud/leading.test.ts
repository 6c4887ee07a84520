import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { leading } from './leading.ts'

const EVERY_MS = 10
const TASK = { name: 'a', everyMs: EVERY_MS }

test('of several processes one does a task, until it ends', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const did: string[] = []
  const begin = (name: string) =>
    leading(
      openLeases(shared.open(), Date.now),
      TASK,
      async () => void did.push(name),
      error => assert.fail(String(error)),
    )
  const processes = { first: begin('first'), second: begin('second') }
  while (did.length < 5) await setTimeout(EVERY_MS)
  const leader = did[0] === 'first' ? 'first' : 'second'
  const other = leader === 'first' ? 'second' : 'first'
  assert.deepEqual([...new Set(did)], [leader])
  await processes[leader].stop()
  did.length = 0
  while (did.length < 5) await setTimeout(EVERY_MS)
  assert.deepEqual([...new Set(did)], [other])
  await processes[other].stop()
})

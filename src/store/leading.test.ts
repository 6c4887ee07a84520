import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { leading } from './leading.ts'
import { openLeases } from './leases.ts'
import { openMemoryRecords } from './memory-records.ts'
import { SharedRecords } from './shared-records.test-support.ts'

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

test('a service ends, though the lease of a task cannot be given back', async () => {
  const fault = new Error('the network is cut')
  const failures: unknown[] = []
  const lease = { fence: [], signal: new AbortController().signal, release: async () => Promise.reject(fault) }
  const ran = Promise.withResolvers<void>()
  const run = async (): Promise<void> => ran.resolve()
  const given = { name: 'task', everyMs: 60_000 }
  const task = leading({ claim: async () => lease }, given, run, error => failures.push(error))
  await ran.promise
  await task.stop()
  assert.deepEqual(failures, [fault])
})

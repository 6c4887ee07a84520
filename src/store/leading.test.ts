import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leading } from './leading.ts'

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

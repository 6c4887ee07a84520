import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { onFailedSync } from '../base/failed-sync.ts'
import { openLogSync } from './log-sync.ts'
import { CommitUnknown } from './storage-errors.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()

test('all callers during a sync share the next one', async () => {
  const path = join(folder, 'shared')
  writeFileSync(`${path}-wal`, 'log')
  const log = openLogSync(path)
  const first = log.durable()
  const [second, third] = [log.durable(), log.durable()]
  assert.notEqual(first, second)
  assert.equal(second, third)
  await Promise.all([first, second, log.durable()])
  log.durableNow()
  log.close()
})

test('a log with one failed sync never counts as durable again', async () => {
  // A pipe can't be synced.
  const path = join(folder, 'failing')
  assert.equal(spawnSync('mkfifo', [`${path}-wal`]).status, 0)
  const log = openLogSync(path)
  const told: string[] = []
  onFailedSync(({ message }) => told.push(message))
  await assert.rejects(log.durable(), CommitUnknown)
  await assert.rejects(log.durable(), CommitUnknown)
  assert.throws(() => log.durableNow(), CommitUnknown)
  assert.equal(told.length, 1, 'the listener that ends the process is called once')
  assert.match(told[0] ?? '', /failed to make the record database durable/u)
  log.close()
})

test('what has to be durable now is synced now, and a failure is for ever too', async () => {
  const path = join(folder, 'failing-now')
  assert.equal(spawnSync('mkfifo', [`${path}-wal`]).status, 0)
  const log = openLogSync(path)
  assert.throws(() => log.durableNow(), CommitUnknown)
  await assert.rejects(log.durable(), CommitUnknown)
  assert.ok(log.failure instanceof CommitUnknown)
  log.close()
})

test('a log that failed acknowledges nothing when it is closed', async () => {
  const path = join(folder, 'closing')
  writeFileSync(`${path}-wal`, 'log')
  const log = openLogSync(path)
  // One that runs, and one that waits for the next.
  const asked = [log.durable(), log.durable()].map(promise => assert.rejects(promise, CommitUnknown))
  log.fail(new Error('EIO'))
  log.close()
  await Promise.all(asked)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLogSync } from './log-sync.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()

test('everybody who asks during a sync shares the next one', async () => {
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

test('a log that failed to reach the disk once is never called durable again', async () => {
  // A pipe can't be synced.
  const path = join(folder, 'failing')
  assert.equal(spawnSync('mkfifo', [`${path}-wal`]).status, 0)
  const log = openLogSync(path)
  await assert.rejects(log.durable(), /failed to make the record database durable/u)
  await assert.rejects(log.durable(), /look after the disk/u)
  assert.throws(() => log.durableNow(), /look after the disk/u)
  log.close()
})

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { repeatedly } from './repeatedly.ts'

test('what repeats never runs twice at a time, ends with the run under way, and on demand with a last one', async () => {
  let running = 0
  const done = { runs: 0 }
  const run = async (): Promise<void> => {
    assert.equal(++running, 1)
    await sleep(2)
    running--
    done.runs++
  }
  const repeating = repeatedly(run, 1, assert.ifError)
  while (done.runs < 3) await sleep(1)
  await repeating.stop()
  const before = done.runs
  await sleep(20)
  assert.equal(done.runs, before)
  await repeating.stop('finally')
  assert.equal(done.runs, before + 1)
})

test('a failure is reported, and waited for long enough not to fill the log', async () => {
  const failures: unknown[] = []
  const repeating = repeatedly(
    async () => {
      throw new Error('no room')
    },
    1,
    error => failures.push(error),
  )
  await sleep(30)
  await repeating.stop()
  assert.equal(failures.length, 1)
})

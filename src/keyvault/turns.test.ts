import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { takingTurns } from './turns.ts'

test('tasks of the same name run one after the other, also after a failure; other names do not wait', async () => {
  const inTurn = takingTurns()
  const steps: string[] = []
  const run = (name: string, step: string, fails = false) =>
    inTurn(name, async () => {
      steps.push(`${step} begins`)
      await setImmediate()
      await setImmediate()
      steps.push(`${step} ends`)
      if (fails) throw new Error('failed')
      return step
    })
  const results = await Promise.allSettled([run('a', '1', true), run('a', '2'), run('b', '3')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  )
  assert.deepEqual(steps.slice(0, 2), ['1 begins', '3 begins'])
  assert.ok(steps.indexOf('1 ends') < steps.indexOf('2 begins'))
})

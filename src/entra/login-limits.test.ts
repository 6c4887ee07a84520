import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import { loginLimits } from './login-limits.ts'

describe('login limits', () => {
  it('make a name wait after five failures, twice as long each time up to a minute', () => {
    let now = 0
    const limits = loginLimits({ ...systemEnv, now: () => now })
    const locked = (key: string) => {
      try {
        limits.check(key)
        return false
      } catch (error) {
        return error instanceof AzureError && error.status === 429 && Number(error.options.headers?.['retry-after'])
      }
    }
    for (let i = 0; i < 4; i++) limits.failed('a')
    assert.equal(locked('a'), false)
    limits.failed('a')
    assert.equal(locked('a'), 1)
    assert.equal(locked('b'), false)
    now += 1000
    assert.equal(locked('a'), false)
    for (let i = 0; i < 20; i++) limits.failed('a')
    assert.equal(locked('a'), 60)
    now += 15 * 60_000
    assert.equal(locked('a'), false)
    limits.failed('a')
    assert.equal(locked('a'), false)
  })

  it('forget failures from the future, since the clock was put back', () => {
    let now = 10 * 365 * 86_400_000
    const limits = loginLimits({ ...systemEnv, now: () => now })
    for (let i = 0; i < 9; i++) limits.failed('a')
    assert.throws(() => limits.check('a'), AzureError)
    now = 0
    limits.check('a')
  })

  it('slow an address down after its free failures, one attempt after another', async () => {
    const limits = loginLimits(systemEnv, 3)
    const began = performance.now()
    for (let i = 0; i < 3; i++) {
      await limits.pace('a')
      limits.failed('a')
    }
    assert.ok(performance.now() - began < 400)
    await Promise.all([limits.pace('a'), limits.pace('a'), limits.pace('a')])
    assert.ok(performance.now() - began > 990)
    const crowd = await Promise.allSettled(
      Array.from({ length: 40 }, () => Promise.race([limits.pace('a'), sleep(20)])),
    )
    assert.equal(crowd.filter(({ status }) => status === 'rejected').length, 8)
    const before = performance.now()
    await limits.pace('b')
    assert.ok(performance.now() - before < 400)
  })

  it('run expensive work two at a time', async () => {
    const limits = loginLimits(systemEnv)
    let running = 0
    let most = 0
    const work = async () =>
      limits.run(async () => {
        most = Math.max(most, ++running)
        await sleep(1)
        running--
      })
    const all = await Promise.allSettled(Array.from({ length: 80 }, work))
    assert.equal(most, 2)
    assert.equal(all.filter(({ status }) => status === 'rejected').length, 80 - 66)
    await work()
    assert.equal(running, 0)
  })
})

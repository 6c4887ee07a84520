import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeaseClock } from './lease-clock.ts'

const HOUR = 3_600_000

function clockOf() {
  const at = { monotonic: 1000, wall: 5_000_000, boot: 70_000 }
  const clock = new LeaseClock({ monotonic: () => at.monotonic, wall: () => at.wall, boot: () => at.boot })
  const pass = (ms: number): void => {
    at.monotonic += ms
    at.wall += ms
    at.boot += ms
  }
  return { at, clock, pass }
}

test('time passes at its normal rate, however often it is read', () => {
  const { clock, pass } = clockOf()
  const started = clock.now()
  for (let count = 0; count < 1000; count += 1) {
    pass(7)
    clock.now()
    clock.look()
  }
  assert.equal(clock.look() - started, 7000)
})

test('while the machine sleeps time passes, though the monotonic clock stands still', () => {
  const { at, clock, pass } = clockOf()
  const started = clock.now()
  at.wall += HOUR
  at.boot += HOUR
  pass(10)
  assert.equal(clock.now() - started, HOUR + 10)
  assert.equal(clock.look() - started, HOUR + 10)
})

test('a machine that slept and whose wall clock was set back meanwhile has slept', () => {
  const { at, clock } = clockOf()
  const started = clock.now()
  at.wall -= HOUR
  at.boot += HOUR
  assert.equal(clock.now() - started, 0)
  assert.equal(clock.look() - started, HOUR)
  assert.equal(clock.now() - started, HOUR)
})

test('a wall clock that is set back does not lengthen a lease, set forward it only shortens one', () => {
  const { at, clock, pass } = clockOf()
  const started = clock.now()
  at.wall -= HOUR
  pass(500)
  assert.equal(clock.look() - started, 500)
  at.wall += HOUR
  assert.equal(clock.look() - started, HOUR + 500)
  pass(500)
  assert.equal(clock.look() - started, HOUR + 1000)
})

test('a clock that is slewed has not slept', () => {
  const { at, clock, pass } = clockOf()
  const started = clock.now()
  for (let count = 0; count < 100; count += 1) {
    pass(1000)
    at.wall += 0.5
    at.boot += count % 2 === 0 ? 10 : -10
    clock.look()
  }
  assert.equal(clock.look() - started, 100_000)
})

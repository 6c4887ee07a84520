import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { UploadSlots } from './upload-slots.ts'

const limits = { atOnce: 8, waiting: 8, waitMs: 60, lookMs: 10_000, slowBytes: 100 }
const { signal } = new AbortController()

/** An upload that lasts until it is told to end. */
function upload(slots: UploadSlots, account: string, began: string[], own = signal) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const ended = slots.run(account, own, async () => {
    began.push(account)
    await promise
  })
  ended.catch(() => undefined)
  return { end: resolve, ended }
}

test('the account with the fewest uploads under way comes next', async () => {
  const slots = new UploadSlots({ ...limits, waitMs: 10_000 })
  const began: string[] = []
  const running = Array.from('aaaaabbbcd').map(account => upload(slots, account, began))
  await sleep(5)
  assert.equal(began.join(''), 'aaaabbcd')
  running[0]?.end()
  await sleep(5)
  // One place is kept for an account without uploads, until more are free.
  assert.equal(began.join(''), 'aaaabbcd')
  running[1]?.end()
  running[2]?.end()
  await sleep(5)
  assert.equal(began.join('').slice(8), 'a')
  for (const { end } of running) end()
  await Promise.all(running.map(({ ended }) => ended))
  assert.equal(began.length, 10)
})

test('while an account without uploads waits, the slowest upload ends, and no other', async () => {
  const slots = new UploadSlots({ atOnce: 3, waiting: 8, waitMs: 10_000, lookMs: 40, slowBytes: 100 })
  const began = performance.now()
  const ended: string[] = []
  const under = (account: string, perMs: number, isOurs = false) => {
    const { promise, reject } = Promise.withResolvers<void>()
    promise.catch(() => ended.push(account))
    const body = {
      get received() {
        return Math.round(perMs * (performance.now() - began))
      },
      get waited() {
        return isOurs ? 0 : performance.now() - began
      },
      destroy: (error?: Error): never => reject(error) as never,
    }
    return slots.run(account, signal, watched => (watched(body), promise)).catch(() => undefined)
  }
  // Bytes in a millisecond: too slow, slow because of us, and fast.
  void under('a', 0.5)
  void under('b', 0, true)
  void under('c', 50)
  await sleep(200)
  assert.deepEqual(ended, [], 'nobody waits')
  let isServed = false
  await slots.run('d', signal, async () => {
    isServed = true
  })
  assert.ok(isServed)
  assert.deepEqual(ended, ['a'])
  await sleep(200)
  assert.deepEqual(ended, ['a'])
})

test('where too many wait, or the wait is too long, uploads get 429 with retry-after', async () => {
  const slots = new UploadSlots(limits)
  const began: string[] = []
  const running = Array.from('aaaa').map(account => upload(slots, account, began))
  const waiting = ['a', 'a', 'a', 'a'].map(account => upload(slots, account, began))
  const tooMany = { status: 429, code: '429', options: { headers: { 'retry-after': '5' } } }
  await assert.rejects(upload(slots, 'a', began).ended, tooMany)
  for (const { ended } of waiting) await assert.rejects(ended, tooMany)
  const client = new AbortController()
  const gone = upload(slots, 'a', began, client.signal)
  client.abort(new Error('gone'))
  await assert.rejects(gone.ended, /gone/)
  for (const { end } of running) end()
  await Promise.all(running.map(({ ended }) => ended))
  const last = upload(slots, 'a', began)
  last.end()
  await last.ended
  assert.equal(began.length, 5)
})

test('a client that goes away at the moment when a place becomes free does not keep it', async () => {
  const slots = new UploadSlots({ ...limits, atOnce: 1 })
  const client = new AbortController()
  const began: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const first = slots.run('a', signal, () => promise)
  const gone = upload(slots, 'b', began, client.signal)
  await sleep(5)
  resolve()
  client.abort(new Error('gone'))
  await assert.rejects(gone.ended, /gone/)
  const next = upload(slots, 'c', began)
  next.end()
  await Promise.all([first, next.ended])
  assert.deepEqual(began, ['c'])
})

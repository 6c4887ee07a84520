import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { isFenced, openLeases, underLease } from './leases.ts'
import { openMemoryRecords } from './memory-records.ts'
import { collection, put } from './records.ts'
import { SharedRecords } from './shared-records.test-support.ts'

const TTL_MS = 300
/** For tests in which renewals have to be in time on a busy machine. */
const LONGER_MS = 1500
const things = collection<number>('things')

/** Two processes on one store, with one clock. */
function two() {
  const clock = { ms: 0 }
  const now = (): number => Date.now() + clock.ms
  const shared = new SharedRecords(openMemoryRecords())
  const [one, other] = [shared.open(), shared.open()]
  return { clock, one, other, ofOne: openLeases(one, now), ofOther: openLeases(other, now) }
}

test('one of several has a lease, until it releases it', async () => {
  const { ofOne, ofOther } = two()
  const claims = await Promise.all([ofOne, ofOther, ofOne, ofOther].map(leases => leases.claim('a', TTL_MS)))
  assert.equal(claims.filter(lease => lease !== undefined).length, 1)
  const [held] = claims.filter(lease => lease !== undefined)
  assert.notEqual(await ofOther.claim('b', TTL_MS), undefined)
  await held?.release()
  assert.notEqual(await ofOther.claim('a', TTL_MS), undefined)
})

test('a lease is renewed for as long as its holder lives', async () => {
  const { ofOne, ofOther } = two()
  const held = await ofOne.claim('a', LONGER_MS)
  for (let looks = 0; looks < 4; looks += 1) {
    await setTimeout(LONGER_MS / 2)
    assert.equal(await ofOther.claim('a', LONGER_MS), undefined)
  }
  assert.equal(held?.signal.aborted, false)
  await held?.release()
})

test('a lost answer costs no lease: neither that to the claim, nor that to a renewal or to the release', async () => {
  const { one, ofOne, ofOther } = two()
  one.losesAnswer = true
  const held = await ofOne.claim('a', LONGER_MS)
  assert.ok(held)
  one.losesAnswer = true
  await setTimeout(LONGER_MS * 1.2)
  assert.deepEqual([one.losesAnswer, held.signal.aborted], [false, false])
  assert.equal(await ofOther.claim('a', LONGER_MS), undefined)
  await one.commit([...held.fence, put(things, 'a', 1)])
  one.losesAnswer = true
  await held.release()
  assert.notEqual(await ofOther.claim('a', LONGER_MS), undefined)
})

test('work that was done under a lease stays done, though the lease cannot be given back', async () => {
  const { one, ofOne } = two()
  const held = await ofOne.claim('a', LONGER_MS)
  assert.ok(held)
  one.commit = async () => Promise.reject(new Error('the network is cut'))
  assert.equal(await underLease(held, async () => 'done'), 'done')
  await assert.rejects(
    underLease(held, async () => Promise.reject(new Error('not done'))),
    /not done/,
  )
})

test('who lost the lease can not write, and neither renews nor releases that of another', async () => {
  const { clock, one, other, ofOne, ofOther } = two()
  const lost = await ofOne.claim('a', TTL_MS)
  assert.ok(lost)
  await one.commit([...lost.fence, put(things, 'by the first', 1)])
  // As if the holder had stood still, so that its time runs out.
  clock.ms += 2 * TTL_MS
  const taken = await ofOther.claim('a', 60_000)
  assert.ok(taken)
  await assert.rejects(one.commit([...lost.fence, put(things, 'too late', 1)]), isFenced)
  await other.commit([...taken.fence, put(things, 'by the second', 1)])
  await setTimeout(TTL_MS)
  assert.equal(lost.signal.aborted, true)
  await lost.release()
  await other.commit([...taken.fence, put(things, 'still by the second', 1)])
  assert.equal(await ofOne.claim('a', TTL_MS), undefined)
  assert.equal(await one.get(things, 'too late'), undefined)
})

test('a holder whose renewals fail is told before another can have the lease', async () => {
  const { one, ofOne, ofOther } = two()
  const held = await ofOne.claim('a', TTL_MS)
  assert.ok(held)
  one.commit = async () => Promise.reject(new Error('the network is cut'))
  let taken = await ofOther.claim('a', TTL_MS)
  while (taken === undefined) {
    await setTimeout(5)
    taken = await ofOther.claim('a', TTL_MS)
  }
  assert.equal(held.signal.aborted, true, 'told first')
  await assert.rejects(held.release(), /network is cut/)
})

test('a lease that was released and claimed again does not let an earlier holder write', async () => {
  const { one, ofOne } = two()
  const first = await ofOne.claim('a', TTL_MS)
  await first?.release()
  const second = await ofOne.claim('a', TTL_MS)
  await assert.rejects(one.commit([...(first?.fence ?? []), put(things, 'a', 1)]), isFenced)
  await second?.release()
})

test('where no other process writes into the store a lease is not written into it', async () => {
  const records = openMemoryRecords()
  const leases = openLeases(records, Date.now)
  const held = await leases.claim('a', TTL_MS)
  assert.equal(await leases.claim('a', TTL_MS), undefined)
  assert.equal(await records.count(collection('store.leases')), 0)
  await held?.release()
  assert.notEqual(await leases.claim('a', TTL_MS), undefined)
})

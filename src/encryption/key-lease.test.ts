import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DataKey, type DataKeys } from './data-key.ts'
import { KeyLeases } from './key-lease.ts'
import { KeyUnavailable } from './key-unavailable.ts'

const bytes = randomBytes(32)
const fresh = (): DataKeys => ({ current: 1, kekId: 'k', byGeneration: new Map([[1, new DataKey(bytes)]]) })

function leasesWith(leaseMs: number, renew: () => Promise<DataKeys>) {
  const clock = { now: 0 }
  const now = (): number => clock.now
  return { clock, leases: new KeyLeases(leaseMs, renew, { now, look: now }) }
}

test('within a lease the vault is asked once; after it, again', async () => {
  let asked = 0
  const { clock, leases } = leasesWith(1000, async () => {
    asked += 1
    return fresh()
  })
  await leases.keys('a')
  clock.now = 999
  await leases.keys('a')
  assert.equal(asked, 1)
  clock.now = 1000
  await leases.keys('a')
  assert.equal(asked, 2)
})

test('a lease counts from before the question, however slow the answer · R19', async () => {
  const { clock, leases } = leasesWith(1000, async () => {
    clock.now += 900
    return fresh()
  })
  await leases.keys('a')
  clock.now = 1000
  let asked = false
  const before = clock.now
  await leases.keys('a').then(() => {
    asked = clock.now > before
  })
  assert.ok(asked)
})

test('a refusal ends the lease at once, and there is no stale use · R20', async () => {
  let refused = false
  const { leases } = leasesWith(1000, async () => {
    if (refused) throw new KeyUnavailable('AccessDenied', 'https://v/keys/k/1')
    return fresh()
  })
  await leases.keys('a')
  refused = true
  await assert.rejects(leases.renew('a'), KeyUnavailable)
  await assert.rejects(leases.keys('a'), KeyUnavailable)
})

test('many uses at once ask the vault once for an account', async () => {
  let asked = 0
  const { leases } = leasesWith(0, async () => {
    asked += 1
    await new Promise(resolve => setTimeout(resolve, 5))
    return fresh()
  })
  await Promise.all(Array.from({ length: 20 }, () => leases.keys('a')))
  assert.equal(asked, 1)
})

test('what a renewal brings after the lease was ended is not kept', async () => {
  let release: () => void = () => {}
  let asked = 0
  const { leases } = leasesWith(1000, async () => {
    asked += 1
    await new Promise<void>(resolve => {
      release = resolve
    })
    return fresh()
  })
  const first = leases.keys('a')
  leases.end('a')
  release()
  const { byGeneration } = await first
  await new Promise(setImmediate)
  assert.throws(() => byGeneration.get(1)?.bytes, /after its lease had ended/)
  const second = leases.keys('a')
  release()
  await second
  assert.equal(asked, 2)
})

test('a probe keeps no keys; a refusal ends the lease at once, silence leaves it to run out · R19', async () => {
  let answer: () => Promise<DataKeys> = async () => fresh()
  let asked = 0
  const { leases } = leasesWith(1000, () => {
    asked += 1
    return answer()
  })
  await leases.probe('a')
  await leases.keys('a')
  assert.equal(asked, 2)
  answer = () => Promise.reject(new KeyUnavailable('Unreachable', 'k'))
  await assert.rejects(leases.probe('a'))
  await leases.keys('a')
  answer = () => Promise.reject(new KeyUnavailable('AccessDenied', 'k'))
  await assert.rejects(leases.probe('a'))
  await assert.rejects(leases.keys('a'), /AccessDenied/)
})

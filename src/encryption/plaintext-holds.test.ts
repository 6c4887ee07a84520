import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mock, test } from 'node:test'
import { NotFound } from '../http/errors.ts'
import { DataKey, type DataKeys } from './data-key.ts'
import { KeyLeases } from './key-lease.ts'
import { KeyUnavailable } from './key-unavailable.ts'

const bytes = randomBytes(32)
const fresh = (): DataKeys => ({
  current: 1,
  kekId: 'https://v/keys/k/1',
  byGeneration: new Map([[1, new DataKey(bytes)]]),
})

/** Leases with a clock and timers that the test moves. `answer` is the vault's answer. */
function leasesWith(leaseMs: number) {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout'] })
  const clock = { now: 0 }
  const now = (): number => clock.now
  const vault = { asked: [] as number[], answer: async (): Promise<DataKeys> => fresh() }
  const renew = (): Promise<DataKeys> => {
    vault.asked.push(clock.now)
    return vault.answer()
  }
  const leases = new KeyLeases(leaseMs, renew, { now, look: now })
  /** In steps, so that answers come in between. */
  const pass = async (ms: number, step = 10): Promise<void> => {
    for (let passed = 0; passed < ms; passed += step) {
      clock.now += step
      mock.timers.tick(step)
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
    }
  }
  return { clock, vault, leases, pass }
}

const reasonOf = ({ signal }: { signal: AbortSignal }): string => (signal.reason as KeyUnavailable).reason

test('while plaintext is held the vault is asked again before each lease ends, and never without need', async () => {
  const { vault, leases, pass } = leasesWith(1000)
  const hold = await leases.hold('a')
  const other = await leases.hold('a')
  await pass(3000)
  assert.deepEqual(vault.asked, [0, ...Array.from({ length: 12 }, (_, n) => (n + 1) * 250)])
  assert.equal(hold.signal.aborted, false)
  hold.release()
  await pass(1000)
  assert.equal(other.signal.aborted, false)
  const asked = vault.asked.length
  other.release()
  await pass(5000)
  assert.equal(vault.asked.length, asked)
})

test('R20: a refusal ends every hold at once, whoever meets it; later ones begin anew', async () => {
  const { vault, leases, pass } = leasesWith(1000)
  const holds = [await leases.hold('a'), await leases.hold('a')]
  const neighbour = await leases.hold('b')
  vault.answer = () => Promise.reject(new KeyUnavailable('AccessDenied', 'k'))
  await assert.rejects(leases.probe('a'))
  for (const hold of holds) {
    assert.equal(reasonOf(hold), 'AccessDenied')
    assert.throws(() => hold.check(), KeyUnavailable)
    hold.release()
  }
  assert.equal(neighbour.signal.aborted, false)
  await pass(250)
  assert.equal(reasonOf(neighbour), 'AccessDenied')
  await assert.rejects(leases.hold('a'), KeyUnavailable)
  vault.answer = async () => fresh()
  assert.equal((await leases.hold('a')).signal.aborted, false)
  // What ended stays so, though the vault allows it again.
  for (const hold of [...holds, neighbour])
    await assert.rejects(leases.check(hold === neighbour ? 'b' : 'a', hold), KeyUnavailable)
})

test('R19: a vault that is silent is asked again, ever more slowly, and when the lease ends so do the holds', async () => {
  const { clock, vault, leases, pass } = leasesWith(1000)
  const hold = await leases.hold('a')
  vault.answer = () => Promise.reject(new KeyUnavailable('Unreachable', 'k'))
  await pass(990)
  hold.check()
  assert.deepEqual(vault.asked, [0, 250, 350, 550, 800])
  await pass(10)
  const [handedOn, unused] = [hold, await leases.hold('a').catch((error: unknown) => error)]
  assert.ok(unused instanceof KeyUnavailable)
  assert.equal(clock.now, 1000)
  assert.throws(() => handedOn.check(), KeyUnavailable)
  assert.equal(reasonOf(hold), 'Unreachable')
})

test('a question that is never answered does not lengthen a lease, and an answer that comes in time does', async () => {
  const { vault, leases, pass } = leasesWith(1000)
  const hold = await leases.hold('a')
  const late = Promise.withResolvers<DataKeys>()
  vault.answer = () => late.promise
  await pass(950)
  late.resolve(fresh())
  vault.answer = () => new Promise(() => {})
  await pass(200)
  assert.equal(hold.signal.aborted, false)
  // It was asked for at 250: the lease ends at 1250, and the timer has a quarter of a second.
  await pass(350)
  assert.equal(reasonOf(hold), 'Unreachable')
})

test("a fault of the service's own is not a refusal, but an account that is gone is", async () => {
  const { vault, leases, pass } = leasesWith(1000)
  const [faulty, gone] = [await leases.hold('a'), await leases.hold('b')]
  vault.answer = () => Promise.reject(new Error('disk full'))
  await pass(610)
  assert.deepEqual([faulty.signal.aborted, gone.signal.aborted], [false, false])
  vault.answer = () => Promise.reject(new NotFound('KeyRingNotFound', 'deleted'))
  leases.end('b')
  await pass(10)
  assert.equal((gone.signal.reason as NotFound).code, 'KeyRingNotFound')
})

test('R31: after a change of key or identity what is held is asked for at once', async () => {
  const { vault, leases, pass } = leasesWith(60_000)
  const hold = await leases.hold('a')
  vault.answer = () => Promise.reject(new KeyUnavailable('IdentityMissing', 'k'))
  leases.end('a')
  await pass(10)
  assert.equal(reasonOf(hold), 'IdentityMissing')
})

test('a machine that slept has slept through its leases: keys are overwritten and what is held ends at the next look', async () => {
  const { clock, vault, leases, pass } = leasesWith(60_000)
  const hold = await leases.hold('a')
  const key = (await leases.keys('a')).byGeneration.get(1)
  vault.answer = () => new Promise(() => {})
  clock.now += 3_600_000
  assert.throws(() => hold.check(), /\(LeaseEnded\)\. The vault was not asked/)
  await pass(250)
  await new Promise(resolve => setImmediate(resolve))
  assert.throws(() => key?.bytes, /after its lease/)
})

test('what is read while no timer gets its turn asks by itself, and goes on or ends by the answer', async () => {
  const { clock, vault, leases } = leasesWith(1000)
  const hold = await leases.hold('a')
  clock.now += 1100
  await leases.check('a', hold)
  assert.deepEqual(vault.asked, [0, 1100])
  clock.now += 1100
  vault.answer = () => Promise.reject(new KeyUnavailable('AccessDenied', 'k'))
  await assert.rejects(leases.check('a', hold), /AccessDenied/)
})

test('with a lease of 0 each use asks, and what is held is asked for several times a second', async () => {
  const { vault, leases, pass } = leasesWith(0)
  const hold = await leases.hold('a')
  await leases.check('a', hold)
  await leases.check('a', hold)
  assert.equal(vault.asked.length, 3)
  await pass(2000)
  assert.equal(hold.signal.aborted, false)
  vault.answer = () => Promise.reject(new KeyUnavailable('AccessDenied', 'k'))
  await pass(400)
  assert.equal(reasonOf(hold), 'AccessDenied')
})

test('a lease that nobody asks for again ends by itself, and its key is overwritten', async () => {
  const { leases, pass } = leasesWith(1000)
  const key = (await leases.keys('a')).byGeneration.get(1)
  const kept = key?.bytes
  assert.deepEqual(kept, bytes)
  await pass(990)
  assert.deepEqual(kept, bytes)
  await pass(10)
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(kept, Buffer.alloc(32))
})

test('a renewal leaves one copy of a key, and whoever uses it goes on', async () => {
  const { leases, pass } = leasesWith(1000)
  const first = (await leases.keys('a')).byGeneration.get(1)
  await pass(500)
  const second = (await leases.renew('a')).byGeneration.get(1)
  assert.equal(second, first)
  await pass(700)
  assert.deepEqual(first?.bytes, bytes)
})

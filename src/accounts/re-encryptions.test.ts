import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, VersionConflict } from '../store/records.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import { systemEnv } from '../base/env.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { openLeases } from '../store/leases.ts'
import { reEncryptions, type ReEncryption } from './re-encryption.ts'
import { ReEncryptions } from './re-encryptions.ts'

const accountId = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'
const begun: ReEncryption = {
  accountId,
  status: 'InProgress',
  generation: 2,
  startedAt: new Date(0).toISOString(),
  blobs: { total: 0, done: 0 },
  bytes: { total: 0, done: 0 },
  records: 0,
  failed: [],
}

for (const [what, fault, isLogged] of [
  ['is purged', new VersionConflict(reEncryptions.name, accountId), false],
  ['cannot be written to', new Error('The disk is full.'), true],
] as const)
  test(`R21: an account that ${what} while its re-encryption begins to wait for the key does not end the service`, async () => {
    const records = openMemoryRecords()
    await records.commit([put(reEncryptions, accountId, begun)])
    const logged: unknown[] = []
    let tried: () => void = () => {}
    const wait = new Promise<void>(resolve => (tried = resolve))
    const refusing = { ...records, get: records.get.bind(records), list: records.list.bind(records) }
    const failing = Object.assign(refusing, {
      commit: async () => {
        setImmediate(tried)
        throw fault
      },
    })
    const service = new ReEncryptions({
      records: failing,
      env: systemEnv,
      leases: openLeases(records, Date.now),
      audit: {} as AuditSink,
      keyRing: {} as KeyRing,
      keyLeaseMs: 0,
      blobs: {} as SealedBlobs,
      resealRecords: async () => Promise.reject(new KeyUnavailable('AccessDenied', 'https://v/keys/k/1')),
      log: (_, error) => logged.push(error),
    })
    await service.resume()
    await wait
    // An unhandled rejection would have failed this test already.
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(logged, isLogged ? [fault] : [])
    await service.close()
  })

test('a re-encryption that begins while the one before gives its lease back is run at once', async () => {
  const records = openMemoryRecords()
  const [giving, given, ran] = [0, 1, 2].map(() => Promise.withResolvers<void>())
  assert.ok(giving && given && ran)
  await records.commit([put(reEncryptions, accountId, begun)])
  let claims = 0
  const claim = async () => {
    // The first one is over at once.
    if ((claims += 1) === 1) await records.commit([put(reEncryptions, accountId, { ...begun, status: 'Succeeded' })])
    const release = async (): Promise<void> => {
      giving.resolve()
      await given.promise
    }
    return { fence: [], signal: new AbortController().signal, release }
  }
  const service = new ReEncryptions({
    records,
    env: systemEnv,
    leases: { claim },
    audit: {} as AuditSink,
    keyRing: {} as KeyRing,
    keyLeaseMs: 0,
    blobs: {} as SealedBlobs,
    resealRecords: async () => {
      ran.resolve()
      throw new VersionConflict(reEncryptions.name, accountId)
    },
    log: () => {},
  })
  await service.resume()
  await giving.promise
  await records.commit([put(reEncryptions, accountId, begun)])
  await service.resume()
  given.resolve()
  const isRun = await Promise.race([
    ran.promise.then(() => true),
    new Promise(resolve => setTimeout(resolve, 1000, false)),
  ])
  assert.equal(isRun, true)
  await service.close()
})

test('a re-encryption that fails again and again for the same reason says so once', async () => {
  const records = openMemoryRecords()
  await records.commit([put(reEncryptions, accountId, begun)])
  const logged: string[] = []
  let attempts = 0
  const again = Promise.withResolvers<void>()
  const service = new ReEncryptions({
    records,
    env: systemEnv,
    leases: openLeases(records, Date.now),
    audit: {} as AuditSink,
    keyRing: {} as KeyRing,
    keyLeaseMs: 0,
    blobs: {} as SealedBlobs,
    resealRecords: async () => {
      if ((attempts += 1) === 2) again.resolve()
      throw new Error('The disk is full.')
    },
    log: (_, error) => logged.push(String(error)),
  })
  await service.resume()
  await again.promise
  // Its failure is told after it.
  await new Promise(resolve => setTimeout(resolve, 50))
  await service.close()
  assert.equal(attempts, 2)
  assert.deepEqual(logged, ['Error: The disk is full.'])
})

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

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { blobRecords, type BlobRecord } from '../encryption/blob-records.ts'
import { KeyRing } from '../encryption/key-ring.ts'
import { isRetired, keyRows } from '../encryption/key-ring-rows.ts'
import { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { systemEnv } from '../base/env.ts'
import { openAuditLog } from '../store/audit-log.ts'
import type { BlobStore } from '../store/blobs.ts'
import { openMemoryBlobs } from '../store/memory-blobs.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import type { Change, RecordStore, CommitOptions } from '../store/records.ts'
import type { Account } from './account.ts'
import { ReEncryptions } from './re-encryptions.ts'
import { VaultWaits } from '../encryption/vault-waits.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openLeases } from '../store/leases.ts'

const key = (): KeyObject => createSecretKey(randomBytes(32))

interface Setting {
  readonly accountId: string
  readonly records: RecordStore
  readonly blobs: SealedBlobs
  readonly run: (mebibytesPerSecond?: number) => Promise<void>
}

/** An account in memory whose data can be re-encrypted. */
async function setting(
  files: BlobStore = openMemoryBlobs(),
  onCommit: (changes: readonly Change[]) => Promise<void> = async () => {},
): Promise<Setting> {
  const inner = openMemoryRecords()
  const records = Object.assign(new ForwardedRecords(inner), {
    commit: async (changes: readonly Change[], options?: CommitOptions) => {
      await onCommit(changes)
      return inner.commit(changes, options)
    },
  })
  const accountId = randomUUID()
  const rootKeys = {
    service: key(),
    mac: key(),
    deployment: key(),
    hsm: key(),
    records: key(),
    identity: key(),
    bases: key(),
  }
  const ring = new KeyRing({
    records,
    rootKeys,
    leaseMs: 0,
    vaults: { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() },
    credentialOf: () => ({ getToken: async () => null }),
    settingsOf: async () => undefined,
  })
  await records.commit(await ring.create(accountId))
  const blobs = new SealedBlobs({ ring, blobs: files, env: systemEnv, deploymentRoot: rootKeys.deployment })
  const options = {
    records,
    env: systemEnv,
    keyRing: ring,
    keyLeaseMs: 0,
    audit: await openAuditLog(records, systemEnv),
  }
  const service = new ReEncryptions({
    ...options,
    leases: openLeases(records, Date.now),
    blobs,
    resealRecords: async () => 0,
    log: () => {},
  })
  const run = async (mebibytesPerSecond?: number): Promise<void> => {
    const account = { accountId, id: `/accounts/${accountId}` } as Account
    await service.start(account, mebibytesPerSecond)
    while ((await service.get(accountId)).value.status === 'InProgress')
      await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal((await service.get(accountId)).value.status, 'Succeeded')
    await service.close()
  }
  return { accountId, records, blobs, run }
}

async function* bytes(size: number): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536), 7)
}

test('K7, R26: what is committed at the very end of a re-encryption under the former data key is refused, not lost', async () => {
  let late: { record: BlobRecord; changes: Change[] } | undefined
  let outcome: unknown = 'never tried'
  const { accountId, records, blobs, run } = await setting(openMemoryBlobs(), async changes => {
    const isEnd = changes.some(
      ({ collection, value, mustExist }) =>
        collection === keyRows.name && value === undefined && mustExist === undefined,
    )
    const held = late
    if (!isEnd || held === undefined) return
    late = undefined
    // The last moment: the last look is over, and the former data key is still there.
    outcome = await records.commit(held.changes).catch((error: unknown) => error)
  })
  const early = await blobs.create({ accountId, kind: 'training-data', source: bytes(10) })
  await records.commit(early.changes)
  late = await blobs.create({ accountId, kind: 'training-data', source: bytes(20) })
  await run()
  assert.ok(
    isRetired(outcome),
    `an upload was acknowledged under a data key that was then destroyed: ${String(outcome)}`,
  )
  for (const { value } of await records.list(blobRecords, { limit: 1000 }))
    assert.equal((await blobs.open(value)).size, 10)
})

test('K7: a re-encryption reads no faster than its rate', async () => {
  const files = openMemoryBlobs()
  const taken: number[] = []
  const timed: BlobStore = {
    open: id => files.open(id),
    remove: id => files.remove(id),
    list: prefix => files.list(prefix),
    create: async (id, source) => {
      const began = performance.now()
      const size = await files.create(id, source)
      if (id.includes('-g2-')) taken.push(performance.now() - began)
      return size
    },
  }
  const { accountId, records, blobs, run } = await setting(timed)
  const { changes } = await blobs.create({ accountId, kind: 'training-data', source: bytes(256 * 1024) })
  await records.commit(changes)
  await run(0.5)
  assert.equal(taken.length, 1)
  // 256 KiB at 0.5 MiB/s take half a second; the last chunk need not be waited for.
  assert.ok((taken[0] ?? 0) > 300, `${taken[0]} ms`)
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { deriveKey } from '../crypto/derive.ts'
import { encodeContext, unwrap } from '../crypto/wrap.ts'
import { systemEnv } from '../base/env.ts'
import { openMemoryBlobs } from '../store/memory-blobs.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { VersionConflict, type RecordStore } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { blobKeyOf, blobRecords } from './blob-records.ts'
import { addGeneration, closeGenerations, retireGenerations } from './data-key-generations.ts'
import { closedGenerations, isRetired } from './key-ring-rows.ts'
import { KeyRing } from './key-ring.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import type { RootKeys } from './root-key.ts'
import { SealedBlobs } from './sealed-blobs.ts'
import { openRecord, sealRecord } from './sealed-records.ts'
import { VaultWaits } from './vault-waits.ts'

const account = randomUUID()
const key = (): KeyObject => createSecretKey(randomBytes(32))

const source = async function* (): AsyncGenerator<Uint8Array> {
  yield Buffer.from('training data')
}

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bytes)).toString()
}

function ringOf(records: RecordStore, rootKeys: RootKeys, leaseMs: number): KeyRing {
  const vaults = { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() }
  const credentialOf = () => ({ getToken: async () => null })
  return new KeyRing({ records, rootKeys, leaseMs, vaults, credentialOf, settingsOf: async () => undefined })
}

async function openRing(leaseMs = 0) {
  const records = openMemoryRecords()
  const rootKeys = {
    service: key(),
    mac: key(),
    deployment: key(),
    hsm: key(),
    records: key(),
    identity: key(),
    bases: key(),
  }
  const ring = ringOf(records, rootKeys, leaseMs)
  await records.commit(await ring.create(account))
  const files = openMemoryBlobs()
  return {
    ring,
    records,
    files,
    deploymentRoot: rootKeys.deployment,
    blobs: new SealedBlobs({ ring, blobs: files, env: systemEnv, deploymentRoot: rootKeys.deployment }),
  }
}

/** A blob under the account's first data key, beside which there is a second one. */
async function storedBlob() {
  const opened = await openRing()
  const { ring, records, blobs } = opened
  const { record, changes } = await blobs.create({ accountId: account, kind: 'training-data', source: source() })
  await records.commit(changes)
  await addGeneration(ring, account, (_, added) => records.commit(added))
  const stored = await records.get(blobRecords, blobKeyOf(account, record.blobId))
  assert.ok(stored)
  return { ...opened, record, stored }
}

test('R28: an account that is purged while its new data key is made gets none', async () => {
  const { ring, records } = await openRing()
  const made = addGeneration(ring, account, async (_, added) => {
    await records.commit(await ring.destroy(account))
    await records.commit(added)
  })
  await assert.rejects(made, { code: 'KeyRingNotFound', status: 404 })
  assert.equal((await ring.generations(account)).size, 0)
})

test('R26: what is sealed under a former data key is committed before that is closed, and seen by the last look, or not at all', async () => {
  const { ring, records, blobs } = await openRing()
  const blob = { accountId: account, kind: 'training-data', source: source() } as const
  const early = await blobs.create(blob)
  const late = await blobs.create({ ...blob, source: source() })
  await addGeneration(ring, account, (_, added) => records.commit(added))
  await records.commit(early.changes)
  await closeGenerations(ring, account, 2)
  await assert.rejects(records.commit(late.changes), isRetired)
  const [left, ...others] = await records.list(blobRecords, { limit: 1000, prefix: account })
  assert.deepEqual([left?.value.blobId, others], [early.record.blobId, []])
  assert.ok(left)
  const opened = await blobs.open(left.value)
  const { changes, settle } = await blobs.rewrite(left, bytes => bytes)
  await records.commit(changes)
  await settle()
  await retireGenerations(ring, account, 2, removed => records.commit(removed))
  assert.deepEqual([...(await ring.generations(account)).keys()], [2])
  assert.equal(await records.count(closedGenerations), 0)
  // It was opened before it was sealed anew, and held no file since.
  assert.deepEqual(await textOf(opened.read()), await textOf(source()))
})

test('R21: a key that is lost after the last byte of a rewrite leaves no file behind, and the rewrite succeeds once it is back', async () => {
  const { ring, records, files, blobs } = await openRing()
  const { record, changes } = await blobs.create({ accountId: account, kind: 'training-data', source: source() })
  await records.commit(changes)
  await addGeneration(ring, account, (_, added) => records.commit(added))
  let isLost = false
  const inherited = ring.kek.bind(ring)
  ring.kek = async (accountId, kekId) => {
    if (isLost) throw new KeyUnavailable('AccessDenied', kekId)
    return inherited(accountId, kekId)
  }
  const stored = await records.get(blobRecords, blobKeyOf(account, record.blobId))
  assert.ok(stored)
  const losing = async function* (bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield* bytes
    isLost = true
  }
  await assert.rejects(blobs.rewrite(stored, losing), KeyUnavailable)
  assert.deepEqual(await Array.fromAsync(files.list()), [record.blobId])
  isLost = false
  const rewritten = await blobs.rewrite(stored, bytes => bytes)
  await records.commit(rewritten.changes)
  await rewritten.settle()
  const opened = await blobs.open(record)
  assert.equal(Buffer.concat(await Array.fromAsync(opened.read())).toString(), 'training data')
})

test('of two processes that seal a blob anew, the one that comes too late takes nothing from the other', async () => {
  const { records, files, blobs, record, stored } = await storedBlob()
  // It stands still before its commit, for so long that its lease runs out.
  const paused = await blobs.rewrite(stored, bytes => bytes)
  const rewritten = await blobs.rewrite(stored, bytes => bytes)
  await records.commit(rewritten.changes)
  await rewritten.settle()
  await assert.rejects(records.commit(paused.changes), VersionConflict)
  await paused.undo()
  assert.equal(await textOf((await blobs.open(record)).read()), 'training data')
  assert.equal((await Array.fromAsync(files.list())).length, 1)
})

test('R28: a blob that is sealed anew between the look at its record and its removal leaves no file', async () => {
  const { records, files, blobs, record, stored } = await storedBlob()
  const removal = await blobs.remove(account, record.blobId)
  const rewritten = await blobs.rewrite(stored, bytes => bytes)
  await records.commit(rewritten.changes)
  await rewritten.settle()
  await records.commit(removal.changes)
  await removal.unlink()
  assert.deepEqual(await Array.fromAsync(files.list()), [])
})

test('what is still being sealed when its data key is destroyed is refused as too late, not as damaged', async () => {
  const { ring, records, files, blobs } = await openRing()
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const slow = async function* (): AsyncGenerator<Uint8Array> {
    yield* source()
    begun.resolve()
    await go.promise
  }
  // Another process re-encrypts the account, which does not know what is written here.
  const late = blobs.create({ accountId: account, kind: 'checkpoint', source: slow() })
  await begun.promise
  await addGeneration(ring, account, (_, added) => records.commit(added))
  await closeGenerations(ring, account, 2)
  await retireGenerations(ring, account, 2, removed => records.commit(removed))
  go.resolve()
  await assert.rejects(late, isRetired)
  assert.deepEqual(await Array.fromAsync(files.list()), [])
})

test('what another process seals under a data key that it has just made is opened here, also before this one is told', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const rootKeys = {
    service: key(),
    mac: key(),
    deployment: key(),
    hsm: key(),
    records: key(),
    identity: key(),
    bases: key(),
  }
  const [one, other] = [ringOf(shared.open(), rootKeys, 60_000), ringOf(shared.open(), rootKeys, 60_000)]
  await one.records.commit(await one.create(account))
  await other.leases.keys(account)
  await addGeneration(one, account, (_, added) => one.records.commit(added))
  const sealed = await sealRecord(one, account, 'losses', [1, 2])
  assert.equal(sealed.generation, 2)
  assert.deepEqual(await openRecord(other, account, 'losses', sealed), [1, 2])
})

test('a blob that is deleted after its record was read counts as gone, not as damaged', async () => {
  const { records, blobs } = await openRing()
  const { record, changes } = await blobs.create({ accountId: account, kind: 'training-data', source: source() })
  await records.commit(changes)
  const removal = await blobs.remove(account, record.blobId)
  await removal.unlink()
  await assert.rejects(blobs.open(record), { code: 'DataCorrupted' })
  await records.commit(removal.changes)
  await assert.rejects(blobs.open(record), { code: 'BlobNotFound', status: 404 })
})

const CHUNK = 65_536

/** The key ring's key can't be used from the call on. */
function losing(ring: KeyRing): () => void {
  let isLost = false
  const inherited = ring.kek.bind(ring)
  ring.kek = async (accountId, kekId) => {
    if (isLost) throw new KeyUnavailable('AccessDenied', kekId)
    return inherited(accountId, kekId)
  }
  return () => {
    isLost = true
  }
}

async function* many(chunks: number, onChunk: (index: number) => void = () => {}): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < chunks; index += 1) {
    onChunk(index)
    yield Buffer.alloc(CHUNK, index)
  }
}

test('R22: what is read asks the lease before each chunk, whoever reads it', async () => {
  const { ring, blobs } = await openRing()
  const lose = losing(ring)
  const { record } = await blobs.create({ accountId: account, kind: 'training-data', source: many(40) })
  let read = 0
  const reading = async (): Promise<void> => {
    for await (const chunk of (await blobs.open(record)).read()) {
      read += chunk.length
      if (read === 2 * CHUNK) lose()
    }
  }
  await assert.rejects(reading(), KeyUnavailable)
  assert.equal(read, 2 * CHUNK)
})

test('R20: what is uploaded asks the lease before each chunk, and nothing more of it is taken after a refusal', async () => {
  const { ring, files, blobs } = await openRing()
  const lose = losing(ring)
  let taken = 0
  const source = many(1000, index => {
    taken = index
    if (index === 2) lose()
  })
  await assert.rejects(blobs.create({ accountId: account, kind: 'training-data', source }), KeyUnavailable)
  assert.equal(taken, 2)
  assert.deepEqual(await Array.fromAsync(files.list()), [])
})

test('a blob whose record names another size is damaged, though all of its bytes are genuine', async () => {
  const { blobs } = await openRing()
  const { record } = await blobs.create({ accountId: account, kind: 'training-data', source: source() })
  for (const size of [0, record.size - 1, record.size + 1])
    await assert.rejects(blobs.open({ ...record, size }), {
      code: 'DataCorrupted',
      message: /size is not the recorded/,
    })
})

test('R27: a blob key is wrapped for one blob, of one kind and account: in the record of another it does not unwrap', async () => {
  const { records, ring, blobs, deploymentRoot } = await openRing()
  const other = randomUUID()
  await records.commit(await ring.create(other))
  const blob = { accountId: account, kind: 'training-data' } as const
  const { record } = await blobs.create({ ...blob, source: source() })
  for (const { record: strange } of [
    await blobs.create({ ...blob, source: source() }),
    await blobs.create({ ...blob, kind: 'checkpoint', source: source() }),
  ])
    await assert.rejects(blobs.open({ ...record, wrappedKey: strange.wrappedKey }), {
      code: 'DataCorrupted',
      message: /its wrapped key was changed/,
    })
  // A deployment's copy is under a key of its account, which no other account's copy is wrapped by.
  const copy = (await blobs.create({ ...blob, kind: 'deployment', source: source() })).record
  const about = encodeContext('blob key', account, 'deployment', copy.blobId, 0)
  const keyOf = (accountId: string): KeyObject =>
    deriveKey(deploymentRoot, 'ownkey/v1/deployment', Buffer.from(accountId))
  const wrapped = Buffer.from(copy.wrappedKey, 'base64')
  assert.equal(unwrap(keyOf(account), wrapped, about).length, 32)
  assert.throws(() => unwrap(keyOf(other), wrapped, about), { code: 'Tampered' })
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openSqliteRecords } from '../store/sqlite-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import {
  collection,
  mustExist,
  put,
  remove,
  ShredIncomplete,
  type CommitOptions,
  type Change,
} from '../store/records.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'
import { DESTRUCTIONS, isDestruction, shredding } from './destruction.ts'
import { KeyRing } from './key-ring.ts'
import { keyRows, putPending, wrapDataKey } from './key-ring-rows.ts'
import { dropBrokenOffChanges } from './start-up.ts'
import { VaultWaits } from './vault-waits.ts'

const accountId = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'
const key = (): KeyObject => createSecretKey(randomBytes(32))
const unwatched = (): void => {}

test('K1: only removing a record with a wrapped key is a destruction', () => {
  const replaced = DESTRUCTIONS.map(({ collection: { name }, whenReplaced }) => [name, whenReplaced])
  assert.deepEqual(Object.fromEntries(replaced), {
    'encryption.data-keys': true,
    'encryption.service-keys': true,
    'encryption.blobs': false,
  })
  for (const { collection: from, whenReplaced } of DESTRUCTIONS) {
    assert.ok(isDestruction(remove(from, 'a')))
    assert.equal(isDestruction(put(from, 'a', {}, 3)), whenReplaced)
    assert.ok(!isDestruction(put(from, 'a', {}, 0)))
    assert.ok(!isDestruction(mustExist(from, 'a')))
  }
  assert.ok(!isDestruction(remove(collection('openai.files'), 'a')))
})

test('K1: pending rows of a change that a crash broke off are erased at the next start', async () => {
  const path = join(temporaryFolder(), 'records.db')
  const records = shredding(await openSqliteRecords(path), unwatched)
  const mac = key()
  const ring = new KeyRing({
    records,
    rootKeys: { service: key(), mac, deployment: key(), hsm: key(), records: key(), identity: key(), bases: key() },
    leaseMs: 0,
    vaults: { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() },
    credentialOf: () => ({ getToken: async () => null }),
    settingsOf: async () => undefined,
  })
  await records.commit(await ring.create(accountId))
  const kek = await ring.serviceKey(accountId)
  const pending = await wrapDataKey(kek, mac, { accountId, generation: 1 }, randomBytes(32), 'pending')
  await records.commit([putPending(pending)])
  assert.ok(bytesOf(path).includes(pending.wrapped))
  assert.equal(await dropBrokenOffChanges(records), 1)
  assert.ok(!bytesOf(path).includes(pending.wrapped))
  const [active] = await records.list(keyRows, { limit: 1000 })
  assert.ok(bytesOf(path).includes(active?.value.wrapped ?? '-'))
  await records.close()
})

test('K1: what the disk refused to erase is told, and erased with the next commit', async () => {
  const asked: (boolean | undefined)[] = []
  const inner = openMemoryRecords()
  let isFull = true
  const failing = Object.assign(new ForwardedRecords(inner), {
    commit: async (changes: readonly Change[], options?: CommitOptions) => {
      asked.push(options?.shred)
      const written = await inner.commit(changes)
      if (isFull && options?.shred) throw new ShredIncomplete('the disk is full', written)
      return written
    },
  })
  const told: unknown[] = []
  const records = shredding(failing, error => told.push(error))
  const row = put(collection<object>('openai.files'), 'a', {})
  await records.commit([remove(keyRows, 'a')])
  await assert.rejects(records.commit([row], { shred: true }), ShredIncomplete)
  isFull = false
  await records.commit([row])
  await records.commit([row])
  assert.deepEqual(asked, [true, true, true, false])
  assert.equal(told.length, 2)
})

/** Copies are read, since closing the files themselves would drop SQLite's locks. */
function bytesOf(path: string): string {
  return [path, `${path}-wal`]
    .filter(file => existsSync(file))
    .map(file => {
      copyFileSync(file, `${path}.copy`)
      return readFileSync(`${path}.copy`, 'latin1')
    })
    .join('')
}

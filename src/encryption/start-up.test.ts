import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { recordAuthenticator } from '../store/record-mac.ts'
import { put } from '../store/records.ts'
import { openSqliteRecords } from '../store/sqlite-records.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'
import { blobRecords, type BlobRecord } from './blob-records.ts'
import { keyRows, type KeyRow } from './key-ring-rows.ts'
import { referencedBlobs } from './start-up.ts'

const authenticator = recordAuthenticator(createSecretKey(randomBytes(32)))

/** Two accounts, of which one has data keys; `damage` is what somebody without the key does to the database. */
async function referencedIn(damage = '') {
  const path = join(temporaryFolder(), 'records.db')
  const first = await openSqliteRecords(path, { authenticator })
  await first.commit([
    put(keyRows, 'one/active/00000001', { accountId: 'one' } as KeyRow),
    put(blobRecords, 'one/a', { accountId: 'one', blobId: 'a' } as BlobRecord),
    put(blobRecords, 'one/b', { accountId: 'one', blobId: 'b', storedAs: 'b-g2' } as BlobRecord),
    put(blobRecords, 'two/c', { accountId: 'two', blobId: 'c' } as BlobRecord),
  ])
  await first.close()
  const database = new DatabaseSync(path)
  database.exec(damage)
  database.close()
  const records = await openSqliteRecords(path, { authenticator })
  try {
    return await referencedBlobs(records)
  } finally {
    await records.close()
  }
}

test('a file that a record names stays, under either of its names', async () => {
  const found = await referencedIn()
  assert.deepEqual([...(found?.kept.keys() ?? [])], ['a', 'b-g2'])
  assert.deepEqual([...(found?.going ?? [])], ['c'])
})

test('R26: while a changed record hides which files are named, no file counts as one without a record', async () => {
  for (const id of ['one/a', 'two/c', 'one/active/00000001'])
    assert.equal(await referencedIn(`UPDATE records SET value = value || ' ' WHERE id = '${id}'`), undefined, id)
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { accounts, type Account } from '../accounts/account.ts'
import { layoutOf } from '../crypto/blob-chunks.ts'
import { HEADER_BYTES } from '../crypto/blob-header.ts'
import { blobKeyOf, blobRecords, type BlobRecord } from '../encryption/blob-records.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { AzureError } from '../http/errors.ts'
import { openDirectoryBlobs } from '../store/directory-blobs.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, remove } from '../store/records.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'
import { checkBlobs } from './blob-check.ts'

const accountId = randomUUID()
const account = { accountId, name: 'going' } as Account

/** A record and its file; `meanwhile` happens while the contents are read, which then fail to open. */
async function checkedWhile(
  meanwhile: (records: ReturnType<typeof openMemoryRecords>, id: string) => Promise<unknown>,
) {
  const [records, blobId] = [openMemoryRecords(), randomUUID()]
  const folder = join(temporaryFolder(), 'blobs')
  const sealed = Buffer.alloc(HEADER_BYTES + 32, 7)
  await (
    await openDirectoryBlobs(folder)
  ).create(
    blobId,
    (async function* () {
      yield sealed
    })(),
  )
  const record = {
    accountId,
    blobId,
    kind: 'training-data',
    generation: 1,
    header: sealed.toString('base64', 0, HEADER_BYTES),
    size: layoutOf(sealed.length).size,
    storedSize: sealed.length,
  } as BlobRecord
  const id = blobKeyOf(accountId, blobId)
  await records.commit([put(accounts, accountId, account), put(blobRecords, id, record)])
  const blobs = {
    async open() {
      await meanwhile(records, id)
      throw new AzureError('DataCorrupted', 500, 'it does not open')
    },
  } as unknown as SealedBlobs
  return checkBlobs({ records, blobs, folder }, true)
}

test('a blob that does not open is named, unless its account is purged meanwhile', async () => {
  const damaged = await checkedWhile(async () => {})
  assert.match(damaged.problems.join(), /it does not open/)
  const purged = await checkedWhile(records =>
    records.commit([put(accounts, accountId, { ...account, purging: true })]),
  )
  assert.deepEqual(purged.problems, [])
  const gone = await checkedWhile((records, id) => records.commit([remove(blobRecords, id)]))
  assert.deepEqual(gone.problems, [])
})

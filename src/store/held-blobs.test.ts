import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { blobFiles } from './blob-files.ts'
import { blobStoreConforms } from './blob-store-conformance.ts'
import { openDirectoryBlobs } from './directory-blobs.ts'
import { holdable } from './held-blobs.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

blobStoreConforms('blobs that can be held', async () => holdable(await openDirectoryBlobs(temporaryFolder())))

test('the file of a blob that is removed during a hold stays until the end of the hold', async () => {
  const folder = temporaryFolder()
  const blobs = holdable(await openDirectoryBlobs(folder))
  for (const id of ['aa-1', 'aa-2', 'bb-1']) await blobs.create(id, bytes(id))
  const [one, two] = [blobs.hold(), blobs.hold()]
  await blobs.remove('aa-1')
  await blobs.remove('bb-1')
  assert.equal(await blobs.open('aa-1'), undefined)
  assert.deepEqual(await Array.fromAsync(blobs.list()), ['aa-2'])
  assert.deepEqual((await blobFiles(folder)).ids.toSorted(), ['aa-1', 'aa-2', 'bb-1'])
  // A name that is used again means the new bytes.
  await blobs.create('bb-1', bytes('again'))
  await one()
  await one()
  assert.equal((await blobFiles(folder)).ids.length, 3, 'another still holds')
  await two()
  assert.deepEqual((await blobFiles(folder)).ids.toSorted(), ['aa-2', 'bb-1'])
  assert.equal(await blobs.open('bb-1').then(async reader => (await reader?.read(0, 9))?.toString()), 'again')
  await blobs.remove('aa-2')
  assert.deepEqual(await readdir(`${folder}/aa`), [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blobRecords, type BlobRecord } from '../encryption/blob-records.ts'
import { keyStates, type KeyState } from '../encryption/key-state.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, remove } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { EarlierBlobs } from './earlier-blobs.ts'

test('K1: blobs that another process removes or re-encrypts no longer count as sealed under an earlier key', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const [own, other] = [shared.open(), shared.open()]
  const blob = (generation: number): BlobRecord => ({ generation }) as BlobRecord
  await own.commit([
    put(keyStates, 'a', { ownSince: 2, generation: 2 } as KeyState),
    ...['a/1', 'a/2', 'a/3'].map(id => put(blobRecords, id, blob(1))),
  ])
  const counts = new EarlierBlobs(own)
  const watch = counts.followOthers()
  assert.equal(await counts.count('a'), 3)
  await other.commit([remove(blobRecords, 'a/1'), put(blobRecords, 'a/2', blob(2))])
  assert.equal(await counts.count('a'), 1)
  watch.close()
})

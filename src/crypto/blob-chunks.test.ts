import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { layoutOf, openChunk, SEALED_CHUNK_BYTES, sealChunk } from './blob-chunks.ts'
import { HEADER_BYTES } from './blob-header.ts'

const key = createSecretKey(randomBytes(32))

test('there are 2^32 chunks and no more: the nonce of another one would be that of an earlier one', () => {
  const last = 2 ** 32 - 1
  const sealed = Buffer.concat(sealChunk(key, last, false, Buffer.from('the last')))
  assert.equal(openChunk(key, last, false, sealed)?.toString(), 'the last')
  for (const index of [last + 1, 2 * (last + 1)]) {
    assert.throws(() => sealChunk(key, index, false, Buffer.alloc(1)), { code: 'TooLarge' })
    assert.throws(() => openChunk(key, index, false, sealed), { code: 'TooLarge' })
  }
})

test('an empty chunk is the whole of an empty blob, and never the last of a longer one: no plaintext has two forms', () => {
  assert.deepEqual(layoutOf(HEADER_BYTES + 16), { size: 0, chunks: 1, lastBytes: 16 })
  for (const before of [1, 2, 1000]) {
    const size = HEADER_BYTES + before * SEALED_CHUNK_BYTES
    assert.equal(layoutOf(size).chunks, before)
    assert.throws(() => layoutOf(size + 16), { code: 'Truncated' })
    assert.deepEqual(layoutOf(size + 17).lastBytes, 17)
  }
})

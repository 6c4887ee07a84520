import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { tee } from './tee.ts'

/** No two chunks are alike. */
const chunksOf = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => Buffer.alloc(64 * 1024, index))

async function* bytes(count: number): AsyncGenerator<Uint8Array> {
  yield* chunksOf(count)
}

async function contentOf(copy: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(copy))
}

const isWhole = (content: Buffer): void => assert.ok(content.equals(Buffer.concat(chunksOf(20))))

test('what passes and what is watched are the bytes that came, each once and in their order', async () => {
  const { passing, watched } = tee(bytes(20), contentOf)
  isWhole(await contentOf(passing))
  isWhole(await watched)
})

test('a watcher does not wait for ever when nobody begins to read what passes', async () => {
  const { watched, stop } = tee(bytes(3), contentOf)
  stop()
  await assert.rejects(watched)
})

test('a watcher does not wait for ever when the reader breaks off', async () => {
  const { passing, watched } = tee(bytes(20), contentOf)
  for await (const _ of passing) break
  await assert.rejects(watched)
})

test('a watcher that ends early does not hold up the bytes', async () => {
  const { passing, watched } = tee(bytes(20), async () => 'seen enough')
  isWhole(await contentOf(passing))
  assert.equal(await watched, 'seen enough')
})

test('a watcher that breaks off while the bytes wait for it does not fail them', async () => {
  const watching = async (copy: Readable): Promise<string> => {
    for await (const _ of copy) {
      await new Promise(resolve => setTimeout(resolve, 20))
      break
    }
    return 'seen enough'
  }
  const { passing, watched } = tee(bytes(20), watching)
  isWhole(await contentOf(passing))
  assert.equal(await watched, 'seen enough')
})

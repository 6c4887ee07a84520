import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { tee } from './tee.ts'

async function* bytes(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) yield Buffer.alloc(64 * 1024, index)
}

async function sizeOf(copy: Readable): Promise<number> {
  let size = 0
  for await (const chunk of copy) size += (chunk as Buffer).length
  return size
}

test('what passes and what is watched are the same bytes', async () => {
  const { passing, watched } = tee(bytes(20), sizeOf)
  let passed = 0
  for await (const chunk of passing) passed += chunk.length
  assert.equal(await watched, passed)
})

test('a watcher does not wait for ever when nobody begins to read what passes', async () => {
  const { watched, stop } = tee(bytes(3), sizeOf)
  stop()
  await assert.rejects(watched)
})

test('a watcher does not wait for ever when the reader breaks off', async () => {
  const { passing, watched } = tee(bytes(20), sizeOf)
  for await (const _ of passing) break
  await assert.rejects(watched)
})

test('a watcher that ends early does not hold up the bytes', async () => {
  const { passing, watched } = tee(bytes(20), async () => 'seen enough')
  let passed = 0
  for await (const chunk of passing) passed += chunk.length
  assert.equal(passed, 20 * 64 * 1024)
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
  let passed = 0
  for await (const chunk of passing) passed += chunk.length
  assert.equal(passed, 20 * 64 * 1024)
  assert.equal(await watched, 'seen enough')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlobExists, type BlobStore } from './blobs.ts'

/** The promises of BlobStore, for every implementation. `opener` gives an empty store each time. */
export function blobStoreConforms(name: string, opener: () => Promise<BlobStore>): void {
  const rule: Rule = (title, check) => {
    test(`${name}: ${title}`, async () => check(await opener()))
  }
  contentRules(rule)
  lifeRules(rule)
}

type Rule = (title: string, check: (blobs: BlobStore) => Promise<void>) => void

function contentRules(rule: Rule): void {
  rule('a blob is read back whole and from any place, also past its end', async blobs => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 31) % 251))
    assert.equal(await blobs.create('a', inChunks(bytes, 65_537)), bytes.length)
    const reader = await blobs.open('a')
    assert.ok(reader)
    assert.equal(reader.size, bytes.length)
    for (const [offset, length] of [
      [0, bytes.length],
      [0, 0],
      [1, 1],
      [65_530, 20],
      [299_990, 50],
      [300_000, 1],
      [400_000, 5],
    ] as const) {
      assert.deepEqual(await reader.read(offset, length), bytes.subarray(offset, offset + length))
    }
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [0.5, 1],
    ] as const)
      await assert.rejects(reader.read(offset, length), RangeError)
    await reader.close()
    await assert.rejects(reader.read(0, 1))
  })
  rule('an empty source makes an empty blob', async blobs => {
    assert.equal(await blobs.create('empty', inChunks(Buffer.alloc(0), 1)), 0)
    const reader = await blobs.open('empty')
    assert.deepEqual([reader?.size, await reader?.read(0, 10)], [0, Buffer.alloc(0)])
    await reader?.close()
  })
  rule('a source may fill two buffers in turn', async blobs => {
    async function* alternating() {
      const buffers = [Buffer.alloc(70_000), Buffer.alloc(70_000)]
      for (let n = 0; n < 20; n++) yield buffers[n % 2]?.fill(n) ?? Buffer.alloc(0)
    }
    await blobs.create('a', alternating())
    const reader = await blobs.open('a')
    const expected = Buffer.concat(Array.from({ length: 20 }, (_, n) => Buffer.alloc(70_000, n)))
    assert.ok((await reader?.read(0, expected.length))?.equals(expected))
    await reader?.close()
  })
}

function lifeRules(rule: Rule): void {
  rule('an id is taken once, also while it is being written', async blobs => {
    await blobs.create('a', inChunks(Buffer.from('first'), 5))
    await assert.rejects(blobs.create('a', inChunks(Buffer.from('second'), 5)), BlobExists)
    const outcomes = await Promise.allSettled(
      ['x', 'y'].map(async text => blobs.create('b', inChunks(Buffer.from(text), 1))),
    )
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const reader = await blobs.open('a')
    assert.equal(String(await reader?.read(0, 10)), 'first')
    await reader?.close()
  })
  rule('a source that throws leaves nothing behind, and its id stays free', async blobs => {
    async function* failing() {
      yield Buffer.alloc(100_000)
      throw new Error('the source broke')
    }
    await assert.rejects(blobs.create('a', failing()), /the source broke/u)
    assert.equal(await blobs.open('a'), undefined)
    assert.deepEqual(await Array.fromAsync(blobs.list()), [])
    assert.equal(await blobs.create('a', inChunks(Buffer.from('good'), 2)), 4)
  })
  rule('a removed blob is gone; removing it again is not an error', async blobs => {
    const ids = ['0b9f', 'a', '-', 'z'.repeat(64), '018f3c1e-7b1a-7c3e-9f00-000000000000']
    for (const id of ids) await blobs.create(id, inChunks(Buffer.from(id), 3))
    assert.deepEqual((await Array.fromAsync(blobs.list())).sort(), ids.toSorted())
    for (const prefix of ['', 'a', '0', '01', '018f', 'zz', 'no-such'])
      assert.deepEqual(
        (await Array.fromAsync(blobs.list(prefix))).sort(),
        ids.filter(id => id.startsWith(prefix)).toSorted(),
      )
    for (const id of ids) await blobs.remove(id)
    await blobs.remove('a')
    await blobs.remove('never-there')
    assert.equal(await blobs.open('a'), undefined)
    assert.deepEqual(await Array.fromAsync(blobs.list()), [])
  })
  rule('an id that is not one never reaches the file system', async blobs => {
    for (const id of ['', '..', '../a', 'a/b', 'A', 'a.b', 'a\0', 'a\n', 'é', 'a'.repeat(65)]) {
      await assert.rejects(blobs.create(id, inChunks(Buffer.from('x'), 1)), RangeError)
      await assert.rejects(blobs.open(id), RangeError)
      await assert.rejects(blobs.remove(id), RangeError)
    }
  })
}

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

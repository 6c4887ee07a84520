import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CHUNK_BYTES } from './blob-header.ts'
import { SealError, openMetadata, openSealed, seal, sealMetadata } from './sealed-blob.ts'
import type { BlobContext } from './sealed-blob.ts'
import { readAll, readerOf, sealAll } from './sealing.test-support.ts'

const key = createSecretKey(randomBytes(32))
const context: BlobContext = { accountId: 'account-1', kind: 'training-data', blobId: randomUUID(), generation: 1 }
const failsWith = (code: string) => (error: unknown) => error instanceof SealError && error.code === code

const borders = [
  0,
  1,
  15,
  16,
  17,
  CHUNK_BYTES - 1,
  CHUNK_BYTES,
  CHUNK_BYTES + 1,
  2 * CHUNK_BYTES,
  16 * CHUNK_BYTES,
  17 * CHUNK_BYTES + 5,
]

test('what was sealed opens, at every size around a border of chunks and batches', async () => {
  const data = randomBytes(18 * CHUNK_BYTES)
  for (const size of borders) {
    const sealed = await sealAll(key, context, [data.subarray(0, size)])
    assert.equal(sealed.length, 96 + size + 16 * Math.max(1, Math.ceil(size / CHUNK_BYTES)))
    const blob = await openSealed(key, context, readerOf(sealed))
    assert.equal(blob.size, size)
    assert.ok((await readAll(blob.read())).equals(data.subarray(0, size)), `${size} bytes`)
  }
})

test('the sizes in which the source gives its bytes do not show in the sealed blob', async () => {
  const random = () => Buffer.alloc(32, 7)
  const data = randomBytes(3 * CHUNK_BYTES + 77)
  const whole = await sealAll(key, context, [data], random)
  const anySizes = fc.array(fc.oneof(fc.constantFrom(0, 1, CHUNK_BYTES, CHUNK_BYTES + 1), fc.nat(2 * CHUNK_BYTES)), {
    maxLength: 12,
  })
  await fc.assert(
    fc.asyncProperty(anySizes, async sizes => {
      let at = 0
      const pieces = sizes.map(size => data.subarray(at, (at += size)))
      const sealed = await sealAll(key, context, [...pieces, data.subarray(at)], random)
      assert.ok(sealed.equals(whole))
    }),
    { numRuns: 40 },
  )
})

test('a source may reuse its buffer as soon as it is asked for more', async () => {
  const buffer = Buffer.alloc(CHUNK_BYTES / 2 + 3)
  async function* source() {
    for (let round = 0; round < 5; round++) yield buffer.fill(round)
  }
  const parts: Uint8Array[] = []
  for await (const part of seal(key, context, source()).bytes) parts.push(part)
  const blob = await openSealed(key, context, readerOf(Buffer.concat(parts)))
  const expected = Buffer.concat([0, 1, 2, 3, 4].map(round => Buffer.alloc(buffer.length, round)))
  assert.ok((await readAll(blob.read())).equals(expected))
})

test('a range gives exactly its bytes, at all borders', async () => {
  const data = randomBytes(17 * CHUNK_BYTES + 5)
  const blob = await openSealed(key, context, readerOf(await sealAll(key, context, [data])))
  for (const start of borders) {
    for (const end of borders.filter(border => border >= start)) {
      assert.ok((await readAll(blob.read(start, end))).equals(data.subarray(start, end)), `${start} to ${end}`)
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(data.length), fc.nat(data.length), async (a, b) => {
      const [start, end] = a < b ? [a, b] : [b, a]
      assert.ok((await readAll(blob.read(start, end))).equals(data.subarray(start, end)))
    }),
    { numRuns: 60 },
  )
})

test('a range reads its own chunks only, and the last one at the start', async () => {
  const sealed = await sealAll(key, context, [Buffer.alloc(40 * CHUNK_BYTES + 1)])
  const reads: [number, number][] = []
  const reader = readerOf(sealed)
  const counting = {
    size: reader.size,
    read(offset: number, length: number) {
      reads.push([offset, length])
      return reader.read(offset, length)
    },
  }
  const blob = await openSealed(key, context, counting)
  assert.deepEqual(reads.splice(0), [
    [0, 96],
    [96 + 40 * (CHUNK_BYTES + 16), 17],
  ])
  await readAll(blob.read(3 * CHUNK_BYTES + 5, 4 * CHUNK_BYTES + 1))
  assert.deepEqual(reads.splice(0), [[96 + 3 * (CHUNK_BYTES + 16), 2 * (CHUNK_BYTES + 16)]])
  await readAll(blob.read(40 * CHUNK_BYTES))
  assert.deepEqual(reads, [])
})

test('a range outside of the blob is refused at once', async () => {
  const blob = await openSealed(key, context, readerOf(await sealAll(key, context, [Buffer.from('abc')])))
  for (const [start, end] of [
    [-1, 2],
    [0, 4],
    [2, 1],
    [0.5, 1],
    [0, Number.NaN],
  ] as const) {
    assert.throws(() => blob.read(start, end), failsWith('BadRange'))
  }
})

test('sealing reads the source no faster than its bytes are taken', async () => {
  let given = 0
  async function* source() {
    for (;;) {
      given++
      yield Buffer.alloc(CHUNK_BYTES)
    }
  }
  const iterator = seal(key, context, source()).bytes[Symbol.asyncIterator]()
  await iterator.next()
  assert.equal(given, 0)
  await iterator.next()
  assert.equal(given, 17)
  await iterator.return?.()
})

test('a source that fails makes the sealing fail, so a cut upload never looks whole', async () => {
  async function* source() {
    yield Buffer.alloc(10)
    throw new Error('connection reset')
  }
  const sealing = seal(key, context, source())
  await assert.rejects(readAll(sealing.bytes), /connection reset/)
  assert.throws(() => sealing.plaintextSize(), failsWith('Misuse'))
})

test('the sealed bytes can be taken once, since a second time would repeat nonces', async () => {
  async function* source() {
    yield Buffer.from('abc')
  }
  const sealing = seal(key, context, source())
  const first = await readAll(sealing.bytes)
  assert.ok(first.subarray(0, 96).equals(sealing.header))
  assert.equal(sealing.plaintextSize(), 3)
  await assert.rejects(readAll(sealing.bytes), failsWith('Misuse'))
})

test('a blob that shrinks while it is read stops with an error', async () => {
  const sealed = await sealAll(key, context, [Buffer.alloc(40 * CHUNK_BYTES)])
  let { length } = sealed
  const blob = await openSealed(key, context, {
    size: length,
    read: async (at, size) => sealed.subarray(at, Math.min(length, at + size)),
  })
  length = 20 * CHUNK_BYTES
  await assert.rejects(readAll(blob.read()), failsWith('Truncated'))
})

test('contexts that are not canonical are refused', () => {
  const source = (async function* () {})()
  const uuid = context.blobId
  for (const blobId of [
    '',
    'file-1',
    uuid.toUpperCase(),
    uuid.replaceAll('-', ''),
    `{${uuid}}`,
    `${uuid} `,
    `${uuid}\n`,
  ])
    if (blobId !== uuid) assert.throws(() => seal(key, { ...context, blobId }, source), failsWith('BadContext'))
  for (const generation of [-1, 0.5, Number.NaN, 2 ** 53])
    assert.throws(() => seal(key, { ...context, generation }, source), failsWith('BadContext'))
  for (const text of ['', 'x'.repeat(257), '\ud800'])
    for (const field of ['accountId', 'kind'])
      assert.throws(() => seal(key, { ...context, [field]: text }, source), failsWith('BadContext'))
  assert.throws(() => seal(randomBytes(16), context, source), failsWith('BadKey'))
})

test('the key may be a KeyObject or 32 bytes', async () => {
  const sealed = await sealAll(key.export(), context, [Buffer.from('abc')])
  assert.equal((await readAll((await openSealed(key, context, readerOf(sealed))).read())).toString(), 'abc')
})

test('a header of another format, version, suite, chunk size or with flags is told as that, not as a wrong key', async () => {
  const sealed = await sealAll(key, context, [Buffer.from('abc')])
  for (const at of [0, 11, 12, 13, 14, 15]) {
    const other = Buffer.from(sealed)
    other[at]! += 1
    await assert.rejects(openSealed(key, context, readerOf(other)), failsWith('BadHeader'), `byte ${at}`)
  }
})

test('metadata opens with its own blob, key and context only', async () => {
  const sealed = await sealAll(key, context, [])
  const header = sealed.subarray(0, 96)
  const record = sealMetadata(key, header, context, Buffer.from('{"name":"a.jsonl"}'))
  assert.equal(openMetadata(key, header, context, record).toString(), '{"name":"a.jsonl"}')
  assert.equal(record.includes('jsonl'), false)
  assert.throws(() => openMetadata(randomBytes(32), header, context, record), failsWith('WrongKey'))
  assert.throws(() => openMetadata(key, header, { ...context, accountId: 'account-2' }, record), failsWith('WrongKey'))
  const other = (await sealAll(key, context, [])).subarray(0, 96)
  assert.throws(() => openMetadata(key, other, context, record), failsWith('Tampered'))
  assert.throws(() => openMetadata(key, header, context, record.subarray(0, 28)), failsWith('Truncated'))
  for (let bit = 0; bit < record.length * 8; bit++) {
    const flipped = Buffer.from(record)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(() => openMetadata(key, header, context, flipped), SealError)
  }
  assert.throws(() => sealMetadata(key, header, context, Buffer.alloc(2 ** 20 + 1)), failsWith('TooLarge'))
})

test('no message holds a byte of the key', async () => {
  const bytes = Buffer.from('K'.repeat(32))
  const sealed = await sealAll(bytes, context, [Buffer.from('abc')])
  const attempts = [
    openSealed(randomBytes(32), context, readerOf(sealed)),
    openSealed(bytes, context, readerOf(sealed.subarray(0, -1))),
  ]
  for (const attempt of attempts) {
    await assert.rejects(
      attempt,
      (error: Error) => !error.message.includes('KKK') && !error.message.includes(bytes.toString('hex')),
    )
  }
})

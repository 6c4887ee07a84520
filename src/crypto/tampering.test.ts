import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { CHUNK_BYTES, HEADER_BYTES } from './blob-header.ts'
import { SEALED_CHUNK_BYTES } from './blob-chunks.ts'
import { SealError, openSealed } from './sealed-blob.ts'
import type { BlobContext } from './sealed-blob.ts'
import { readAll, readerOf, sealAll } from './sealing.test-support.ts'

const key = createSecretKey(randomBytes(32))
const context: BlobContext = { accountId: 'account-1', kind: 'training-data', blobId: randomUUID(), generation: 3 }

/** Opens and reads everything. Bytes that come out before the error must be a prefix of what was sealed. */
async function detected(sealed: Buffer, plaintext: Buffer, openKey = key, openContext = context): Promise<boolean> {
  const given: Buffer[] = []
  try {
    for await (const part of (await openSealed(openKey, openContext, readerOf(sealed))).read()) given.push(part)
    return false
  } catch (error) {
    const prefix = Buffer.concat(given)
    assert.ok(plaintext.subarray(0, prefix.length).equals(prefix), 'bytes left that were never sealed')
    return error instanceof SealError
  }
}

function flip(sealed: Buffer, bit: number): Buffer {
  const altered = Buffer.from(sealed)
  altered[bit >> 3]! ^= 1 << (bit & 7)
  return altered
}

function chunksOf(sealed: Buffer): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = HEADER_BYTES; at < sealed.length; at += SEALED_CHUNK_BYTES)
    chunks.push(sealed.subarray(at, at + SEALED_CHUNK_BYTES))
  return chunks
}

let tamperings = 0
async function assertDetected(what: string, ...attempt: Parameters<typeof detected>): Promise<void> {
  assert.equal(await detected(...attempt), true, `not detected: ${what}`)
  tamperings++
}

const small = randomBytes(200)
const large = randomBytes(3 * CHUNK_BYTES + 1000)

test('every wrong value of every header byte is refused', async () => {
  const sealed = await sealAll(key, context, [small])
  for (let at = 0; at < HEADER_BYTES; at++) {
    for (let change = 1; change < 256; change++) {
      const altered = Buffer.from(sealed)
      altered[at]! ^= change
      await assertDetected(`header byte ${at} changed by ${change}`, altered, small)
    }
  }
})

test('every flipped bit of a small blob is refused', async () => {
  const sealed = await sealAll(key, context, [small])
  for (let bit = 0; bit < sealed.length * 8; bit++) await assertDetected(`bit ${bit}`, flip(sealed, bit), small)
})

test('flipped bits all over a blob of several chunks are refused, at the borders too', async () => {
  const sealed = await sealAll(key, context, [large])
  const near = (byte: number) => [-17, -16, -15, -1, 0, 1, 15, 16].map(delta => (byte + delta) * 8 + 3)
  const borders = [1, 2, 3].flatMap(index => near(HEADER_BYTES + index * SEALED_CHUNK_BYTES))
  const spread = Array.from({ length: 150 }, (_, index) => Math.floor((index * (sealed.length * 8 - 1)) / 150))
  for (const bit of [...borders, ...spread, sealed.length * 8 - 1])
    await assertDetected(`bit ${bit}`, flip(sealed, bit), large)
})

test('a cut at any place is refused at opening, on and off the borders of chunks', async () => {
  const sealed = await sealAll(key, context, [small])
  for (let length = 0; length < sealed.length; length++) {
    await assert.rejects(openSealed(key, context, readerOf(sealed.subarray(0, length))), SealError)
    tamperings++
  }
  const whole = await sealAll(key, context, [large])
  for (const index of [0, 1, 2, 3]) {
    for (const delta of [-17, -16, -1, 0, 1, 15, 16, 17]) {
      const cut = whole.subarray(0, HEADER_BYTES + index * SEALED_CHUNK_BYTES + delta)
      await assert.rejects(openSealed(key, context, readerOf(cut)), SealError, `cut at chunk ${index} ${delta}`)
      tamperings++
    }
  }
  const atBorder = whole.subarray(0, HEADER_BYTES + 2 * SEALED_CHUNK_BYTES)
  await assert.rejects(openSealed(key, context, readerOf(atBorder)), { code: 'Truncated' })
})

test('appended bytes are refused: zeros, noise, the last chunk or the whole blob again', async () => {
  for (const plaintext of [small, large, Buffer.alloc(0), large.subarray(0, 2 * CHUNK_BYTES)]) {
    const sealed = await sealAll(key, context, [plaintext])
    const tails = [1, 15, 16, 17, 100, SEALED_CHUNK_BYTES].flatMap(size => [Buffer.alloc(size), randomBytes(size)])
    for (const tail of [...tails, chunksOf(sealed).at(-1)!, sealed]) {
      await assertDetected(`${tail.length} bytes appended`, Buffer.concat([sealed, tail]), plaintext)
    }
  }
})

test('chunks that were reordered, repeated, dropped or swapped are refused', async () => {
  const plaintext = large.subarray(0, 3 * CHUNK_BYTES)
  const sealed = await sealAll(key, context, [plaintext])
  const header = sealed.subarray(0, HEADER_BYTES)
  const chunks = chunksOf(sealed)
  const orders = new Set<string>()
  for (let code = 0; code < 4 ** 5; code++) {
    // Every list of up to 5 of the 3 chunks; a 3 stands for the end.
    const order = [4 ** 4, 4 ** 3, 4 ** 2, 4, 1].map(place => Math.floor(code / place) % 4)
    const end = order.indexOf(3)
    orders.add((end < 0 ? order : order.slice(0, end)).join(''))
  }
  orders.delete('012')
  for (const order of orders) {
    const altered = Buffer.concat([header, ...order.split('').map(index => chunks[Number(index)]!)])
    await assertDetected(`order ${order}`, altered, plaintext)
  }
})

test('chunks, bodies and headers of another blob of the same account are refused', async () => {
  const sealed = await sealAll(key, context, [large])
  const again = await sealAll(key, context, [large])
  const otherContext = { ...context, blobId: randomUUID() }
  const other = await sealAll(key, otherContext, [large])
  for (const donor of [again, other]) {
    const donated = chunksOf(donor)
    for (const index of donated.keys()) {
      const mixed = chunksOf(sealed)
      mixed[index] = donated[index]!
      await assertDetected(`chunk ${index} spliced`, Buffer.concat([sealed.subarray(0, HEADER_BYTES), ...mixed]), large)
    }
    await assertDetected(
      'body spliced',
      Buffer.concat([sealed.subarray(0, HEADER_BYTES), donor.subarray(HEADER_BYTES)]),
      large,
    )
    await assertDetected(
      'header spliced',
      Buffer.concat([donor.subarray(0, HEADER_BYTES), sealed.subarray(HEADER_BYTES)]),
      large,
    )
    for (const [from, to] of [
      [16, 32],
      [32, 64],
      [64, 96],
    ] as const) {
      const mixed = Buffer.from(sealed)
      donor.copy(mixed, from, from, to)
      if (!mixed.equals(sealed)) await assertDetected(`header field ${from} spliced`, mixed, large)
    }
  }
  await assertDetected('the row of another blob', other, large)
  await assertDetected('the row of another blob, swapped back', sealed, large, key, otherContext)
})

test('another account, kind, blob, generation or key opens nothing', async () => {
  const sealed = await sealAll(key, context, [small])
  const contexts = [
    { ...context, accountId: 'account-2' },
    { ...context, accountId: 'account-1t' },
    { ...context, accountId: 'ACCOUNT-1' },
    { ...context, kind: 'training-result' },
    // A mere concatenation would confuse these.
    { ...context, accountId: 'account-1training', kind: '-data' },
    { ...context, generation: 2 },
    { ...context, generation: 0 },
    { ...context, generation: 2 ** 32 + 3 },
  ]
  for (const wrong of contexts) await assert.rejects(openSealed(key, wrong, readerOf(sealed)), { code: 'WrongKey' })
  tamperings += contexts.length
  await assert.rejects(openSealed(key, { ...context, blobId: randomUUID() }, readerOf(sealed)), { code: 'BadHeader' })
  await assert.rejects(openSealed(createSecretKey(randomBytes(32)), context, readerOf(sealed)), { code: 'WrongKey' })
  for (let bit = 0; bit < 256; bit++) {
    await assertDetected(`key bit ${bit}`, sealed, small, createSecretKey(flip(key.export(), bit)))
  }
  tamperings += 2
})

test('at least as many tamperings were detected as by the prototype: 3,811', async () => {
  const sealed = await sealAll(key, context, [large])
  assert.ok((await readAll((await openSealed(key, context, readerOf(sealed))).read())).equals(large))
  assert.ok(tamperings >= 3811, `${tamperings}`)
})

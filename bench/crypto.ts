import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  privateDecrypt,
  constants,
  randomBytes,
  randomUUID,
} from 'node:crypto'
import { availableParallelism } from 'node:os'
import { generateRsa, rsaDecrypt, rsaEncrypt } from '../src/crypto/rsa.ts'
import { openSealed, seal } from '../src/crypto/sealed-blob.ts'
import type { BlobContext } from '../src/crypto/sealed-blob.ts'
import type { Figure } from './figure.ts'

const MIB = 2 ** 20
const TOTAL = 128 * MIB
const ROUNDS = 11
const UNWRAPS = 800

/** Runs the subjects in turn, so that a busy moment affects all of them. Returns the median seconds of each. */
async function medians<Name extends string>(subjects: Record<Name, () => unknown>): Promise<Record<Name, number>> {
  const names = Object.keys(subjects) as Name[]
  const times = Object.fromEntries(names.map(name => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round <= ROUNDS; round++) {
    for (const name of names) {
      const start = performance.now()
      await subjects[name]()
      // The first round only warms up.
      if (round > 0) times[name].push((performance.now() - start) / 1000)
    }
  }
  const middle = (values: number[]) => values.sort((a, b) => a - b)[ROUNDS >> 1]!
  return Object.fromEntries(names.map(name => [name, middle(times[name])])) as Record<Name, number>
}

async function* repeat(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < TOTAL; sent += piece.length) yield piece
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of source) if (piece.length === 0) throw new Error('An empty piece.')
}

async function sealedFigures(): Promise<Figure[]> {
  const key = createSecretKey(randomBytes(32))
  const context: BlobContext = { accountId: randomUUID(), kind: 'training-data', blobId: randomUUID(), generation: 1 }
  const piece = randomBytes(MIB)
  const parts: Uint8Array[] = []
  for await (const part of seal(key, context, repeat(piece)).bytes) parts.push(part)
  const sealed = Buffer.concat(parts)
  const reader = {
    size: sealed.length,
    read: async (offset: number, length: number) => sealed.subarray(offset, offset + length),
  }
  const iv = Buffer.alloc(12)
  // The strongest opponent: one message, one tag, 1 MiB at a time.
  const raw = (make: typeof createCipheriv | typeof createDecipheriv) => () => {
    const cipher = make('aes-256-gcm', key, iv)
    for (let sent = 0; sent < TOTAL; sent += MIB) cipher.update(piece)
  }
  const times = await medians({
    rawSeal: raw(createCipheriv),
    seal: () => drain(seal(key, context, repeat(piece)).bytes),
    rawOpen: raw(createDecipheriv),
    open: async () => drain((await openSealed(key, context, reader)).read()),
  })
  const speed = (seconds: number) => TOTAL / 1e9 / seconds
  const against = (seconds: number) => `AES-256-GCM of node:crypto, ${speed(seconds).toFixed(2)} GB/s`
  return [
    {
      name: 'seal in memory',
      value: speed(times.seal),
      unit: 'GB/s',
      ratio: times.rawSeal / times.seal,
      against: against(times.rawSeal),
    },
    {
      name: 'open in memory',
      value: speed(times.open),
      unit: 'GB/s',
      ratio: times.rawOpen / times.open,
      against: against(times.rawOpen),
    },
  ]
}

async function rsaFigures(): Promise<Figure[]> {
  const key = await generateRsa(2048)
  const wrapped = await rsaEncrypt('RSA-OAEP-256', key, randomBytes(64))
  const raw = { key: key.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
  const unwrapAll = async (workers: number) => {
    const one = async () => {
      for (let done = 0; done < UNWRAPS; done += workers) await rsaDecrypt('RSA-OAEP-256', key, wrapped)
    }
    await Promise.all(Array.from({ length: workers }, one))
  }
  const times = await medians({
    raw: () => {
      for (let done = 0; done < UNWRAPS; done++) privateDecrypt(raw, wrapped)
    },
    one: () => unwrapAll(1),
    eight: () => unwrapAll(8),
  })
  const against = `privateDecrypt on the main thread, ${Math.round(UNWRAPS / times.raw)} /s (${availableParallelism()} cores)`
  return [
    {
      name: 'RSA-OAEP-256 unwrap, one at a time',
      value: UNWRAPS / times.one,
      unit: '/s',
      ratio: times.raw / times.one,
      against,
    },
    {
      name: 'RSA-OAEP-256 unwrap, eight at a time',
      value: UNWRAPS / times.eight,
      unit: '/s',
      ratio: times.raw / times.eight,
      against,
    },
  ]
}

/** Sealing and opening against raw AES-256-GCM, unwrapping against raw RSA. */
export async function figures(): Promise<Figure[]> {
  return [...(await sealedFigures()), ...(await rsaFigures())]
}

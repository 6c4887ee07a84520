import type { KeyObject } from 'node:crypto'
import { seal } from './sealed-blob.ts'
import type { BlobContext, SealedReader } from './sealed-blob.ts'

/** All bytes of a source in one buffer. */
export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces
}

/** Seals the pieces to one buffer; `random` makes it repeatable. */
export function sealAll(
  key: KeyObject | Uint8Array,
  context: BlobContext,
  pieces: readonly Uint8Array[],
  random?: (length: number) => Buffer,
): Promise<Buffer> {
  return readAll(seal(key, context, each(pieces), random && { randomBytes: random }).bytes)
}

/** A reader over bytes in memory, with the contract of a blob store. */
export function readerOf(sealed: Buffer): SealedReader {
  return { size: sealed.length, read: async (offset, length) => sealed.subarray(offset, offset + length) }
}

import { randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Env } from '../base/env.ts'
import { CHUNK_BYTES, HEADER_BYTES, createHeader, openHeader } from './blob-header.ts'
import type { BlobContext } from './blob-header.ts'
import { SEALED_CHUNK_BYTES, chunkOffset, layoutOf, openChunk, sealChunk } from './blob-chunks.ts'
import type { BlobLayout } from './blob-chunks.ts'
import { GCM_OVERHEAD, openGcm, sealGcm, versioned } from './gcm.ts'
import { SealError } from './seal-error.ts'

export type { BlobContext } from './blob-header.ts'
export { SealError } from './seal-error.ts'

/** Chunks per buffer that is yielded or read: 1 MiB. */
const BATCH = 16
/** Bytes of plaintext of a metadata record. */
const MAX_METADATA = 1024 * 1024

/** A blob while it is sealed: `bytes` begins with the header and can be consumed once. */
export interface SealingBlob {
  header: Buffer
  bytes: AsyncIterable<Uint8Array>
  /** Bytes of plaintext that were sealed. @throws SealError Misuse before `bytes` ended */
  plaintextSize(): number
}

/** Bytes in random access, as a blob store gives them. */
export interface SealedReader {
  /** Bytes. */
  size: number
  /** Exactly `length` bytes from `offset`, fewer only at the end. */
  read(offset: number, length: number): Promise<Buffer>
}

export interface OpenedBlob {
  /** Bytes of plaintext. */
  size: number
  header: Buffer
  /** Plaintext from `start` to `end` (exclusive) in buffers of up to 64 KiB, each returned after its tag passed. @throws SealError */
  read(start?: number, end?: number): AsyncIterable<Buffer>
}

/**
 * Seals a source of any chunk sizes under a 32-byte blob key that seals nothing else (docs/sealed-blob.md, version 1). Needs 2 MiB at a time
 * and reads the source no faster than `bytes` is consumed. @throws SealError BadContext, BadKey; while iterating TooLarge, Misuse
 */
export function seal(
  key: KeyObject | Uint8Array,
  context: BlobContext,
  source: AsyncIterable<Uint8Array>,
  env: Pick<Env, 'randomBytes'> = { randomBytes },
): SealingBlob {
  const { header, keys } = createHeader(key, context, env.randomBytes(32))
  let started = false
  let total: number | undefined
  async function* bytes(): AsyncGenerator<Uint8Array> {
    if (started)
      throw new SealError('Misuse', 'These sealed bytes were read already: call seal again, with a new blob key.')
    started = true
    yield Buffer.from(header)
    total = yield* sealChunks(keys.content, source)
  }
  return {
    header,
    bytes: { [Symbol.asyncIterator]: bytes },
    plaintextSize() {
      if (total === undefined) throw new SealError('Misuse', 'The size is known when every sealed byte was read.')
      return total
    },
  }
}

async function* sealChunks(key: KeyObject, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, number> {
  // Only a byte after it shows that a chunk is not the last, so a chunk is sealed when that is seen.
  const pending = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  let filled = 0
  let index = 0
  let batch: Buffer[] = []
  try {
    for await (const input of source) {
      let at = 0
      while (filled + input.length - at > CHUNK_BYTES) {
        let chunk: Uint8Array = pending
        if (filled === 0) chunk = input.subarray(at, (at += CHUNK_BYTES))
        else pending.set(input.subarray(at, (at += CHUNK_BYTES - filled)), filled)
        filled = 0
        batch.push(...sealChunk(key, index++, false, chunk))
        if (batch.length === 2 * BATCH) {
          yield Buffer.concat(batch, BATCH * SEALED_CHUNK_BYTES)
          batch = []
        }
      }
      pending.set(input.subarray(at), filled)
      filled += input.length - at
    }
    batch.push(...sealChunk(key, index, true, pending.subarray(0, filled)))
    yield Buffer.concat(batch)
    return index * CHUNK_BYTES + filled
  } finally {
    pending.fill(0)
  }
}

async function readExactly(reader: SealedReader, offset: number, length: number): Promise<Buffer> {
  const bytes = await reader.read(offset, length)
  if (bytes.length !== length)
    throw new SealError(
      'Truncated',
      `The blob ends ${length - bytes.length} bytes early: it was cut while it is read. Restore it from a backup.`,
    )
  return bytes
}

/**
 * Opens a sealed blob: checks size, header, key commitment and the last chunk, so that a truncated blob always fails here.
 * @throws SealError BadContext, BadKey, BadHeader, WrongKey, Truncated, Tampered
 */
export async function openSealed(
  key: KeyObject | Uint8Array,
  context: BlobContext,
  reader: SealedReader,
): Promise<OpenedBlob> {
  const layout = layoutOf(reader.size)
  const header = Buffer.from(await readExactly(reader, 0, HEADER_BYTES))
  const { content } = openHeader(key, context, header)
  const lastIndex = layout.chunks - 1
  const sealedLast = await readExactly(reader, chunkOffset(lastIndex), layout.lastBytes)
  const last = openChunk(content, lastIndex, true, sealedLast)
  if (last === undefined) {
    // A whole chunk that opens as an inner one tells a cut at a chunk border from other damage.
    if (openChunk(content, lastIndex, false, sealedLast) !== undefined)
      throw new SealError(
        'Truncated',
        'The blob was cut at a chunk border: its end is missing. Restore it from a backup.',
      )
    throw new SealError(
      'Tampered',
      'The end of the blob does not open: it was cut, extended or altered. Restore it from a backup.',
    )
  }
  const { size } = layout
  return {
    size,
    header,
    read(start = 0, end = size) {
      if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start > end || end > size)
        throw new SealError('BadRange', `The range ${start} to ${end} does not lie in the blob's ${size} bytes.`)
      return openRange(content, reader, layout, last, start, end)
    },
  }
}

/** Reads the sealed chunks from `first` up to `end` (exclusive); all of them are full. */
function readChunks(reader: SealedReader, first: number, end: number): Promise<Buffer> {
  const sealed = readExactly(reader, chunkOffset(first), (end - first) * SEALED_CHUNK_BYTES)
  // It is awaited later, after a yield, so a rejection in between must not count as unhandled.
  sealed.catch(() => undefined)
  return sealed
}

async function* openRange(
  key: KeyObject,
  reader: SealedReader,
  layout: BlobLayout,
  last: Buffer,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  if (start === end) return
  const cut = (index: number, chunk: Buffer) =>
    chunk.subarray(Math.max(0, start - index * CHUNK_BYTES), Math.min(chunk.length, end - index * CHUNK_BYTES))
  const lastIndex = layout.chunks - 1
  // The last chunk was opened at the start and is served from memory.
  const innerEnd = Math.min(Math.ceil(end / CHUNK_BYTES), lastIndex)
  let first = Math.floor(start / CHUNK_BYTES)
  let next = first < innerEnd ? readChunks(reader, first, Math.min(first + BATCH, innerEnd)) : undefined
  while (next !== undefined) {
    const sealed = await next
    const batchEnd = first + sealed.length / SEALED_CHUNK_BYTES
    // Reads the next batch while this one is opened.
    next = batchEnd < innerEnd ? readChunks(reader, batchEnd, Math.min(batchEnd + BATCH, innerEnd)) : undefined
    for (let index = first; index < batchEnd; index++) {
      const at = (index - first) * SEALED_CHUNK_BYTES
      const chunk = openChunk(key, index, false, sealed.subarray(at, at + SEALED_CHUNK_BYTES))
      if (chunk === undefined)
        throw new SealError(
          'Tampered',
          `Chunk ${index} of the blob does not open: it was altered, moved or repeated. Restore it from a backup.`,
        )
      yield cut(index, chunk)
    }
    first = batchEnd
  }
  if (end > lastIndex * CHUNK_BYTES) yield Buffer.from(cut(lastIndex, last))
}

/**
 * Seals a blob's metadata (file name, purpose, digests) under the metadata key of its header: version byte, 96-bit random IV, ciphertext, tag.
 * For one record for each blob, and rare updates. @throws SealError as `openSealed`, TooLarge beyond 1 MiB
 */
export function sealMetadata(
  key: KeyObject | Uint8Array,
  header: Buffer,
  context: BlobContext,
  plaintext: Uint8Array,
): Buffer {
  if (plaintext.length > MAX_METADATA)
    throw new SealError('TooLarge', `A blob's metadata holds at most ${MAX_METADATA} bytes, not ${plaintext.length}.`)
  return sealGcm(openHeader(key, context, header).metadata, versioned('ownkey metadata', header), plaintext)
}

/** Undoes `sealMetadata`. An older record of the same blob also opens. @throws SealError as `openSealed` */
export function openMetadata(
  key: KeyObject | Uint8Array,
  header: Buffer,
  context: BlobContext,
  sealed: Uint8Array,
): Buffer {
  if (sealed.length > MAX_METADATA + GCM_OVERHEAD)
    throw new SealError(
      'TooLarge',
      `A sealed metadata record has at most ${MAX_METADATA + GCM_OVERHEAD} bytes, not ${sealed.length}.`,
    )
  return openGcm(openHeader(key, context, header).metadata, versioned('ownkey metadata', header), sealed)
}

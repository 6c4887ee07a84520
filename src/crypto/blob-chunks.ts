import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { CHUNK_BYTES, HEADER_BYTES } from './blob-header.ts'
import { SealError } from './seal-error.ts'

const TAG_BYTES = 16
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
const MAX_CHUNKS = 2 ** 32

/**
 * The nonce is derived from the position, never stored, never read (STREAM of Hoang, Reyhanitabar, Rogaway, Vizár 2015, as in Tink and age):
 * 7 zero bytes, the index as 32 bits big-endian, 1 in the last chunk and 0 in all others.
 */
function nonce(index: number, last: boolean): Buffer {
  if (index >= MAX_CHUNKS)
    throw new SealError('TooLarge', 'A sealed blob holds at most 2^32 chunks (256 TiB): split the data.')
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(index, 7)
  bytes[11] = last ? 1 : 0
  return bytes
}

/** Ciphertext and tag of one chunk, to be written one after the other. */
export function sealChunk(key: KeyObject, index: number, last: boolean, plaintext: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(index, last), { authTagLength: TAG_BYTES })
  const body = cipher.update(plaintext)
  cipher.final()
  return [body, cipher.getAuthTag()]
}

/** The plaintext of one chunk, or undefined when its tag does not hold. */
export function openChunk(key: KeyObject, index: number, last: boolean, sealed: Uint8Array): Buffer | undefined {
  const tagAt = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(index, last), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(tagAt))
  const plaintext = decipher.update(sealed.subarray(0, tagAt))
  try {
    decipher.final()
  } catch {
    plaintext.fill(0)
    return undefined
  }
  return plaintext
}

export interface BlobLayout {
  /** Bytes of plaintext. */
  size: number
  /** Number of chunks, at least 1. */
  chunks: number
  /** Sealed bytes of the last chunk. */
  lastBytes: number
}

/** Where the chunks lie in a sealed blob of `sealedSize` bytes. @throws SealError Truncated for a size that no sealed blob has */
export function layoutOf(sealedSize: number): BlobLayout {
  const body = sealedSize - HEADER_BYTES
  const chunks = Math.ceil(body / SEALED_CHUNK_BYTES)
  const lastBytes = body - (chunks - 1) * SEALED_CHUNK_BYTES
  // Only an empty blob has an empty chunk; any other last chunk holds at least one byte.
  if (!Number.isSafeInteger(sealedSize) || body < TAG_BYTES || lastBytes < TAG_BYTES + (chunks > 1 ? 1 : 0))
    throw new SealError(
      'Truncated',
      `No sealed blob has ${sealedSize} bytes: the file was cut. Restore it from a backup.`,
    )
  return { size: body - chunks * TAG_BYTES, chunks, lastBytes }
}

/** Offset of a chunk in the sealed blob, in bytes. */
export function chunkOffset(index: number): number {
  return HEADER_BYTES + index * SEALED_CHUNK_BYTES
}

import { SealError } from './seal-error.ts'

const TEXT = 1
const INTEGER = 2
const BYTES = 3

function encodePart(part: string | number | Uint8Array): Buffer {
  if (typeof part === 'string') {
    // A lone surrogate becomes U+FFFD in UTF-8, so two texts would share one encoding.
    if (!part.isWellFormed())
      throw new SealError('BadContext', 'A context text holds a lone surrogate: pass valid Unicode.')
    return tagged(TEXT, Buffer.from(part, 'utf8'))
  }
  if (typeof part === 'number') {
    if (!Number.isSafeInteger(part) || part < 0)
      throw new SealError('BadContext', 'A context number must be an integer from 0 to 2^53 - 1.')
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64BE(BigInt(part))
    return tagged(INTEGER, bytes)
  }
  return tagged(BYTES, part)
}

function tagged(tag: number, bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(5 + bytes.length)
  out[0] = tag
  out.writeUInt32BE(bytes.length, 1)
  out.set(bytes, 5)
  return out
}

/**
 * The canonical encoding of a list: for each part a type byte (1 text, 2 integer, 3 bytes), a 32-bit big-endian length and the bytes
 * (text as UTF-8, an integer as 64 bits big-endian). No two lists share an encoding. @throws SealError BadContext
 */
export function encodeContext(...parts: readonly (string | number | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.map(encodePart))
}

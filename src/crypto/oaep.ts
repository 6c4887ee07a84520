import { createHash } from 'node:crypto'
import { mgf1 } from './mgf1.ts'

/**
 * EME-OAEP decoding (RFC 8017, 7.1.2, step 3) with an empty label, for private operations that give the whole block, as a token's
 * does. Undefined for every block that does not decode: to say which check failed would allow Manger's attack (2001). All bytes are
 * always looked at, and no branch or index depends on a secret before the verdict. JavaScript can't promise more.
 * `block` is as long as the modulus.
 */
export function oaepDecode(hash: 'sha1' | 'sha256', block: Uint8Array): Buffer | undefined {
  const label = createHash(hash).digest()
  const dbAt = 1 + label.length
  if (block.length < 2 * label.length + 2) return undefined
  const maskedSeed = block.subarray(1, dbAt)
  const maskedDb = block.subarray(dbAt)
  const seed = xor(maskedSeed, mgf1(hash, maskedDb, label.length))
  const db = xor(maskedDb, mgf1(hash, seed, maskedDb.length))
  let bad = block[0] ?? 1
  for (let at = 0; at < label.length; at++) bad |= (db[at] ?? 0) ^ (label[at] ?? 0)
  // Behind the label's hash: zeros, a one, the message.
  let looking = 1
  let start = 0
  for (let at = label.length; at < db.length; at++) {
    const byte = db[at] ?? 0
    const isOne = isZero(byte ^ 1)
    start |= at & -(looking & isOne)
    bad |= looking & (isOne ^ 1) & (isZero(byte) ^ 1)
    looking &= isOne ^ 1
  }
  const message = (bad | looking) === 0 ? Buffer.from(db.subarray(start + 1)) : undefined
  seed.fill(0)
  db.fill(0)
  return message
}

/** 1 for 0, 0 for 1 to 255. */
function isZero(byte: number): number {
  return ((byte - 1) >>> 8) & 1
}

function xor(a: Uint8Array, b: Uint8Array): Buffer {
  const result = Buffer.alloc(a.length)
  for (let at = 0; at < a.length; at++) result[at] = (a[at] ?? 0) ^ (b[at] ?? 0)
  return result
}

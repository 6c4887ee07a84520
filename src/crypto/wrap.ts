import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Env } from '../base/env.ts'
import { openGcm, sealGcm, versioned, type GcmKey } from './gcm.ts'
import { SealError } from './seal-error.ts'

export { encodeContext } from './encode-context.ts'

/** Bytes that can be wrapped: a key, or a key with the digest that binds it to its account. */
const WRAPPABLE = new Set([32, 64])
const OVERHEAD = 1 + 12 + 16
const KW_NAMES: Record<number, string> = { 16: 'id-aes128-wrap', 24: 'id-aes192-wrap', 32: 'id-aes256-wrap' }
const KW_IV = Buffer.alloc(8, 0xa6)
const KWP_IV = Buffer.from('a65959a6', 'hex')
/** Larger than any key; RFC 5649 would allow 2^32 - 1 bytes. */
const MAX_KW_BYTES = 64 * 1024

/** 32 random bytes: an account data key or a blob key. Wipe it when its KeyObject is made. */
export function newDataKey(env: Pick<Env, 'randomBytes'> = { randomBytes }): Buffer {
  return env.randomBytes(32)
}

/** Overwrites a key that is no longer needed. Copies that the runtime made can't be reached. */
export function wipe(buffer: Uint8Array): void {
  buffer.fill(0)
}

/**
 * Wraps 32 or 64 bytes of key under a 256-bit key: version byte 1, 96-bit random IV, ciphertext, 128-bit tag (AES-256-GCM, NIST SP 800-38D).
 * One key wraps at most 2^30 times. @throws SealError BadKey, BadLength
 */
export function wrap(kek: GcmKey, plaintextKey: Uint8Array, associatedData: Uint8Array): Buffer {
  if (!WRAPPABLE.has(plaintextKey.length))
    throw new SealError(
      'BadLength',
      `wrap takes keys of 32 or 64 bytes, not ${plaintextKey.length}: use sealBox for other secrets.`,
    )
  return sealGcm(kek, versioned('ownkey wrap', associatedData), plaintextKey)
}

/** Undoes `wrap`. @throws SealError BadKey, BadLength, Tampered (other key, other associated data or altered bytes) */
export function unwrap(kek: GcmKey, wrapped: Uint8Array, associatedData: Uint8Array): Buffer {
  if (!WRAPPABLE.has(wrapped.length - OVERHEAD))
    throw new SealError(
      'BadLength',
      `A wrapped key has 61 or 93 bytes, this one has ${wrapped.length}: the record is damaged.`,
    )
  return openGcm(kek, versioned('ownkey wrap', associatedData), wrapped)
}

function keyWrapCipher(kek: KeyObject): string {
  const name = kek.type === 'secret' ? KW_NAMES[kek.symmetricKeySize ?? 0] : undefined
  if (name === undefined) throw new SealError('BadKey', 'AES key wrap needs a secret key of 128, 192 or 256 bits.')
  return name
}

/** AES key wrap, RFC 3394 (A128KW, A192KW, A256KW by the key's size): keys of 16 bytes or more, a multiple of 8. @throws SealError */
export function aesKwWrap(kek: KeyObject, plaintextKey: Uint8Array): Buffer {
  const name = keyWrapCipher(kek)
  const { length } = plaintextKey
  if (length < 16 || length % 8 !== 0 || length > MAX_KW_BYTES)
    throw new SealError('BadLength', `AES key wrap takes 16 bytes or more, a multiple of 8, not ${length}.`)
  const cipher = createCipheriv(name, kek, KW_IV)
  return Buffer.concat([cipher.update(plaintextKey), cipher.final()])
}

/** Undoes `aesKwWrap`. The length is checked here: OpenSSL "unwraps" an empty text without an error. @throws SealError */
export function aesKwUnwrap(kek: KeyObject, wrapped: Uint8Array): Buffer {
  const name = keyWrapCipher(kek)
  const { length } = wrapped
  if (length < 24 || length % 8 !== 0 || length > MAX_KW_BYTES + 8)
    throw new SealError(
      'BadLength',
      `A key wrapped with AES key wrap has 24 bytes or more, a multiple of 8, not ${length}.`,
    )
  return unwrapKw(name, kek, KW_IV, wrapped)
}

/** AES key wrap with padding, RFC 5649: keys of 1 byte or more. @throws SealError */
export function aesKwpWrap(kek: KeyObject, plaintextKey: Uint8Array): Buffer {
  const name = keyWrapCipher(kek)
  const { length } = plaintextKey
  if (length < 1 || length > MAX_KW_BYTES)
    throw new SealError('BadLength', `AES key wrap with padding takes 1 to ${MAX_KW_BYTES} bytes, not ${length}.`)
  const cipher = createCipheriv(`${name}-pad`, kek, KWP_IV)
  return Buffer.concat([cipher.update(plaintextKey), cipher.final()])
}

/** Undoes `aesKwpWrap`. @throws SealError */
export function aesKwpUnwrap(kek: KeyObject, wrapped: Uint8Array): Buffer {
  const name = keyWrapCipher(kek)
  const { length } = wrapped
  if (length < 16 || length % 8 !== 0 || length > MAX_KW_BYTES + 8)
    throw new SealError('BadLength', `A key wrapped with padding has 16 bytes or more, a multiple of 8, not ${length}.`)
  return unwrapKw(`${name}-pad`, kek, KWP_IV, wrapped)
}

function unwrapKw(name: string, kek: KeyObject, iv: Buffer, wrapped: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv(name, kek, iv)
    const key = Buffer.concat([decipher.update(wrapped), decipher.final()])
    if (key.length > 0) return key
  } catch {
    // OpenSSL's reasons say no more than the one below.
  }
  throw new SealError(
    'Tampered',
    'The wrapped key does not unwrap: it was wrapped under another key, or its bytes were altered.',
  )
}

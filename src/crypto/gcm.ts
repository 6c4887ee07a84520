import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { encodeContext } from './encode-context.ts'
import { SealError } from './seal-error.ts'

const VERSION = 1
const IV_BYTES = 12
const TAG_BYTES = 16

/** R02: OpenSSL's AES-256-GCM is the only cipher for data. Bytes that `sealGcm` adds: version, IV and tag. */
export const GCM_OVERHEAD = 1 + IV_BYTES + TAG_BYTES

/** A key may be bytes, which its owner overwrites after use. A KeyObject can't be overwritten. */
export type GcmKey = KeyObject | Uint8Array

function checkKey(key: GcmKey): void {
  const isKey = key instanceof Uint8Array ? key.length === 32 : key.type === 'secret' && key.symmetricKeySize === 32
  if (!isKey) throw new SealError('BadKey', 'AES-256-GCM needs a secret key of 32 bytes.')
}

/** Associated data with a label in front, so that bytes sealed for one use never open in another. */
export function versioned(label: string, associatedData: Uint8Array): Buffer {
  return encodeContext(label, VERSION, associatedData)
}

/** Version byte, 96-bit random IV, ciphertext, 128-bit tag: for small things only (NIST SP 800-38D, 8.2.2). @throws SealError BadKey */
export function sealGcm(key: GcmKey, associatedData: Uint8Array, plaintext: Uint8Array): Buffer {
  checkKey(key)
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(associatedData)
  const body = cipher.update(plaintext)
  cipher.final()
  return Buffer.concat([Buffer.of(VERSION), iv, body, cipher.getAuthTag()])
}

/** Undoes `sealGcm`. @throws SealError BadKey, BadHeader, Truncated, Tampered */
export function openGcm(key: GcmKey, associatedData: Uint8Array, sealed: Uint8Array): Buffer {
  checkKey(key)
  if (sealed.length < GCM_OVERHEAD)
    throw new SealError('Truncated', `The sealed bytes are cut: ${sealed.length} of at least ${GCM_OVERHEAD}.`)
  if (sealed[0] !== VERSION)
    throw new SealError(
      'BadHeader',
      `Version ${sealed[0]} of the sealed bytes is unknown: a newer OwnKey wrote them, or they are damaged.`,
    )
  const tagAt = sealed.length - TAG_BYTES
  // Without authTagLength OpenSSL would accept a tag of 4 bytes.
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + IV_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData)
  decipher.setAuthTag(sealed.subarray(tagAt))
  const plaintext = decipher.update(sealed.subarray(1 + IV_BYTES, tagAt))
  try {
    decipher.final()
  } catch {
    plaintext.fill(0)
    throw new SealError('Tampered', 'The sealed bytes do not open: another key, another context, or they were altered.')
  }
  return plaintext
}

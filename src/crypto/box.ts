import { openGcm, sealGcm, versioned, type GcmKey } from './gcm.ts'
import { SealError } from './seal-error.ts'

/** Bytes of plaintext. Boxes are for small secrets; data belongs in a sealed blob. */
const MAX_BOX = 1024 * 1024

/** Seals a small secret at rest: version byte 1, 96-bit random IV, ciphertext, tag (AES-256-GCM). @throws SealError BadKey, TooLarge */
export function sealBox(key: GcmKey, associatedData: Uint8Array, plaintext: Uint8Array): Buffer {
  if (plaintext.length > MAX_BOX)
    throw new SealError('TooLarge', `A box holds at most ${MAX_BOX} bytes, not ${plaintext.length}: use a sealed blob.`)
  return sealGcm(key, versioned('ownkey box', associatedData), plaintext)
}

/** Undoes `sealBox`. @throws SealError BadKey, BadHeader, Truncated, Tampered */
export function openBox(key: GcmKey, associatedData: Uint8Array, sealed: Uint8Array): Buffer {
  return openGcm(key, versioned('ownkey box', associatedData), sealed)
}

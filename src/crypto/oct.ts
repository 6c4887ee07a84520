import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { KeyError } from './key-error.ts'

type Bits = 128 | 192 | 256
export type OctEncryption = `A${Bits}GCM` | `A${Bits}CBC` | `A${Bits}CBCPAD`

export interface OctCiphertext {
  iv: Buffer
  ciphertext: Buffer
  /** 16 bytes, with GCM only. */
  tag?: Buffer
}

const NAME = /^A(128|192|256)(GCM|CBC|CBCPAD)$/

function parametersOf(alg: OctEncryption, key: KeyObject) {
  const [, bits, mode] = NAME.exec(alg) ?? []
  if (bits === undefined)
    throw new KeyError(
      'Unsupported',
      `Octet keys don't encrypt with ${alg}: use A128GCM, A128CBC, A128CBCPAD or the like.`,
    )
  if (key.type !== 'secret' || key.symmetricKeySize !== Number(bits) / 8)
    throw new KeyError('BadKey', `${alg} needs a key of ${bits} bits.`)
  const gcm = mode === 'GCM'
  return {
    gcm,
    padded: mode === 'CBCPAD',
    ivBytes: gcm ? 12 : 16,
    cipher: `aes-${bits}-${gcm ? 'gcm' : 'cbc'}` as const,
  }
}

function checkIv(iv: Uint8Array, ivBytes: number): void {
  if (iv.length !== ivBytes)
    throw new KeyError('BadParameter', `The iv must have ${ivBytes} bytes, not ${iv.length}.`, 'iv')
}

/**
 * Encrypts under an octet key as Key Vault does. GCM makes its IV itself, since a caller's could repeat. CBC takes the caller's or makes
 * one, and does not protect against alteration. @throws KeyError Unsupported, BadKey, BadParameter
 */
export function octEncrypt(
  alg: OctEncryption,
  key: KeyObject,
  plaintext: Uint8Array,
  options: { iv?: Uint8Array; additionalData?: Uint8Array } = {},
): OctCiphertext {
  const { gcm, padded, ivBytes, cipher: name } = parametersOf(alg, key)
  if (gcm && options.iv !== undefined)
    throw new KeyError('BadParameter', `${alg} makes its iv itself: leave it out.`, 'iv')
  if (!gcm && options.additionalData !== undefined)
    throw new KeyError('BadParameter', `${alg} takes no additional data: use GCM.`, 'aad')
  const iv = Buffer.from(options.iv ?? randomBytes(ivBytes))
  checkIv(iv, ivBytes)
  if (gcm) {
    const cipher = createCipheriv(name as 'aes-256-gcm', key, iv, { authTagLength: 16 })
    cipher.setAAD(options.additionalData ?? Buffer.alloc(0))
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
    return { iv, ciphertext, tag: cipher.getAuthTag() }
  }
  if (!padded && plaintext.length % 16 !== 0)
    throw new KeyError(
      'BadParameter',
      `${alg} takes a multiple of 16 bytes, not ${plaintext.length}: use the CBCPAD form.`,
    )
  const cipher = createCipheriv(name, key, iv).setAutoPadding(padded)
  return { iv, ciphertext: Buffer.concat([cipher.update(plaintext), cipher.final()]) }
}

/** Undoes `octEncrypt`. @throws KeyError Unsupported, BadKey, BadParameter, DecryptionFailed */
export function octDecrypt(
  alg: OctEncryption,
  key: KeyObject,
  { iv, ciphertext, tag }: { iv: Uint8Array; ciphertext: Uint8Array; tag?: Uint8Array },
  additionalData: Uint8Array = Buffer.alloc(0),
): Buffer {
  const { gcm, padded, ivBytes, cipher: name } = parametersOf(alg, key)
  checkIv(iv, ivBytes)
  if (gcm && tag?.length !== 16)
    throw new KeyError('BadParameter', `${alg} needs the authentication tag of 16 bytes.`, 'tag')
  if (!gcm && ciphertext.length % 16 !== 0)
    throw new KeyError('BadParameter', `A text encrypted with ${alg} has a multiple of 16 bytes.`)
  try {
    if (!gcm) {
      const decipher = createDecipheriv(name, key, iv).setAutoPadding(padded)
      return Buffer.concat([decipher.update(ciphertext), decipher.final()])
    }
    const decipher = createDecipheriv(name as 'aes-256-gcm', key, iv, { authTagLength: 16 })
    decipher.setAAD(additionalData)
    decipher.setAuthTag(tag!)
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  } catch {
    throw new KeyError(
      'DecryptionFailed',
      `The text does not decrypt with ${alg}: another key or iv was used, or it was altered.`,
    )
  }
}

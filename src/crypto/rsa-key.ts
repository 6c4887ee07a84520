import { createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { KeyError } from './key-error.ts'

/** An RSA key pair, ready for repeated use. */
export interface RsaKey {
  /** Modulus, bits. */
  readonly bits: number
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export interface RsaPublicJwk {
  kty: 'RSA'
  /** Base64url, big-endian. */
  n: string
  e: string
}

const SIZES = new Set([2048, 3072, 4096])
/** Wraps a private KeyObject of type RSA. No policy on its size: see `importPrivate`. @throws KeyError BadKey */
export function rsaKeyOf(privateKey: KeyObject): RsaKey {
  const bits = privateKey.asymmetricKeyDetails?.modulusLength
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'rsa' || bits === undefined)
    throw new KeyError('BadKey', 'This is not an RSA private key.')
  return { bits, privateKey, publicKey: createPublicKey(privateKey) }
}

/** @throws KeyError BadParameter for other sizes than Key Vault's */
export function checkRsaSize(bits: number): void {
  if (!SIZES.has(bits)) throw new KeyError('BadParameter', `RSA keys have 2048, 3072 or 4096 bits, not ${bits}.`)
}

/** A new key of 2048, 3072 or 4096 bits, made in the thread pool. @throws KeyError BadParameter */
export async function generateRsa(bits: number, publicExponent = 65_537): Promise<RsaKey> {
  checkRsaSize(bits)
  if (
    !Number.isSafeInteger(publicExponent) ||
    publicExponent < 3 ||
    publicExponent >= 2 ** 32 ||
    publicExponent % 2 === 0
  )
    throw new KeyError(
      'BadParameter',
      'The public exponent must be an odd number from 3 to 2^32 - 1; 65537 is the usual one.',
    )
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: bits, publicExponent }, (error, _publicKey, privateKey) => {
      if (error)
        reject(new KeyError('BadParameter', 'OpenSSL refused to make an RSA key of this size and public exponent.'))
      else resolve(rsaKeyOf(privateKey))
    })
  })
}

/** PKCS#8 DER, unencrypted: seal it at once, then wipe it. */
export function exportPrivate(key: RsaKey): Buffer {
  return key.privateKey.export({ type: 'pkcs8', format: 'der' })
}

/** Reads what `exportPrivate` wrote. @throws KeyError BadKey, BadParameter (size) */
export function importPrivate(der: Uint8Array): RsaKey {
  const key = rsaKeyOf(parsePrivate(der))
  checkRsaSize(key.bits)
  return key
}

/** @throws KeyError BadKey */
export function parsePrivate(der: Uint8Array): KeyObject {
  try {
    return createPrivateKey({
      key: Buffer.from(der.buffer, der.byteOffset, der.byteLength),
      format: 'der',
      type: 'pkcs8',
    })
  } catch {
    throw new KeyError('BadKey', 'These bytes are not a private key in PKCS#8 DER.')
  }
}

/** The public half, as Key Vault shows it (RFC 7518, 6.3.1). */
export function publicJwk(key: RsaKey): RsaPublicJwk {
  const { n, e } = key.publicKey.export({ format: 'jwk' })
  if (n === undefined || e === undefined) throw new KeyError('BadKey', 'This is not an RSA key.')
  return { kty: 'RSA', n, e }
}

import { constants, createHash, publicDecrypt, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { KeyError } from './key-error.ts'
import { mgf1 } from './mgf1.ts'
import { runPrivateKeyJob } from './private-key-workers.ts'
import type { RsaKey } from './rsa-key.ts'

export type RsaSignature = 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512'

/** Hash, its length in bytes, and the DER in front of it in a DigestInfo (RFC 8017, 9.2, note 1). */
const DIGESTS = {
  256: { hash: 'sha256', bytes: 32, prefix: '3031300d060960864801650304020105000420' },
  384: { hash: 'sha384', bytes: 48, prefix: '3041300d060960864801650304020205000430' },
  512: { hash: 'sha512', bytes: 64, prefix: '3051300d060960864801650304020305000440' },
} as const

function digestOf(alg: RsaSignature, digest: Uint8Array) {
  if (!/^[RP]S(256|384|512)$/.test(alg))
    throw new KeyError('Unsupported', `RSA keys don't sign with ${alg}: use RS256 to RS512 or PS256 to PS512.`, 'alg')
  const parameters = DIGESTS[alg.slice(2) as unknown as keyof typeof DIGESTS]
  if (digest.length !== parameters.bytes)
    throw new KeyError(
      'BadParameter',
      `${alg} signs a digest of ${parameters.bytes} bytes, not ${digest.length}: hash the message first.`,
    )
  return parameters
}

function xor(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ b[index]!))
}

/** H = Hash(eight zero bytes, digest, salt): RFC 8017, 9.1.1, steps 5 and 6. */
function pssHash(hash: string, digest: Uint8Array, salt: Uint8Array): Buffer {
  return createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest()
}

/** EMSA-PSS-ENCODE (RFC 8017, 9.1.1) with a salt as long as the digest, in as many bytes as the modulus. */
function encodePss(hash: string, digest: Uint8Array, bits: number): Buffer {
  const length = Math.ceil((bits - 1) / 8)
  const salt = randomBytes(digest.length)
  const h = pssHash(hash, digest, salt)
  const db = Buffer.alloc(length - h.length - 1)
  db[db.length - salt.length - 1] = 1
  db.set(salt, db.length - salt.length)
  const masked = xor(db, mgf1(hash, h, db.length))
  masked[0]! &= 0xff >> (8 * length - (bits - 1))
  return Buffer.concat([Buffer.alloc(Math.ceil(bits / 8) - length), masked, h, Buffer.of(0xbc)])
}

/** EMSA-PSS-VERIFY (RFC 8017, 9.1.2); every value in it is public. */
function verifyPss(hash: string, digest: Uint8Array, bits: number, block: Buffer): boolean {
  const length = Math.ceil((bits - 1) / 8)
  const padding = block.length - length
  const em = block.subarray(padding)
  const dbLength = length - digest.length - 1
  const unused = 8 * length - (bits - 1)
  if (padding > 0 && block[0] !== 0) return false
  if (em.at(-1) !== 0xbc || em[0]! >> (8 - unused) !== 0) return false
  const h = em.subarray(dbLength, -1)
  const db = xor(em.subarray(0, dbLength), mgf1(hash, h, dbLength))
  db[0]! &= 0xff >> unused
  const saltAt = dbLength - digest.length
  if (db.subarray(0, saltAt - 1).some(byte => byte !== 0) || db[saltAt - 1] !== 1) return false
  return timingSafeEqual(h, pssHash(hash, digest, db.subarray(saltAt)))
}

/** DigestInfo (RFC 8017, 9.2): what a token signs under PKCS #1 v1.5. @throws KeyError Unsupported, BadParameter */
export function digestInfo(alg: RsaSignature, digest: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(digestOf(alg, digest).prefix, 'hex'), digest])
}

/** The hash of an algorithm, once the digest fits it. @throws KeyError Unsupported, BadParameter */
export function signatureHash(alg: RsaSignature, digest: Uint8Array): 'sha256' | 'sha384' | 'sha512' {
  return digestOf(alg, digest).hash
}

/** EMSA-PKCS1-v1_5 (RFC 8017, 9.2) as a whole block, so that the padding is never parsed leniently (Bleichenbacher 2006). */
function encodePkcs1(prefix: string, digest: Uint8Array, bits: number): Buffer {
  const info = Buffer.concat([Buffer.from(prefix, 'hex'), digest])
  const filler = Buffer.alloc(Math.ceil(bits / 8) - info.length - 3, 0xff)
  return Buffer.concat([Buffer.of(0, 1), filler, Buffer.of(0), info])
}

/**
 * Signs a digest, as Key Vault's `sign` takes it, off the main thread. node:crypto signs messages only, so the block is encoded here by
 * RFC 8017 and goes through OpenSSL's blinded private operation. @throws KeyError Unsupported, BadParameter, BadKey
 */
export async function rsaSign(alg: RsaSignature, key: RsaKey, digest: Uint8Array): Promise<Buffer> {
  const { hash, prefix } = digestOf(alg, digest)
  const input = alg.startsWith('PS') ? encodePss(hash, digest, key.bits) : encodePkcs1(prefix, digest, key.bits)
  const signature = await runPrivateKeyJob({
    operation: 'encrypt',
    key: key.privateKey,
    padding: constants.RSA_NO_PADDING,
    input,
  })
  if (signature === undefined) throw new KeyError('BadKey', 'OpenSSL refused to sign with this key.')
  return signature
}

/** Whether `signature` signs the digest. PSS salts must be as long as the digest (RFC 7518, 3.5). @throws KeyError Unsupported, BadParameter */
export async function rsaVerify(
  alg: RsaSignature,
  key: RsaKey | KeyObject,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const { hash, prefix } = digestOf(alg, digest)
  const publicKey = 'publicKey' in key ? key.publicKey : key
  const bits = publicKey.asymmetricKeyDetails?.modulusLength
  if (publicKey.asymmetricKeyType !== 'rsa' || bits === undefined)
    throw new KeyError('BadKey', 'This is not an RSA key.')
  if (signature.length !== Math.ceil(bits / 8)) return false
  const block = recover(publicKey, signature)
  if (block === undefined) return false
  if (alg.startsWith('PS')) return verifyPss(hash, digest, bits, block)
  return timingSafeEqual(block, encodePkcs1(prefix, digest, bits))
}

function recover(publicKey: KeyObject, signature: Uint8Array): Buffer | undefined {
  try {
    return publicDecrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, signature)
  } catch {
    return undefined
  }
}

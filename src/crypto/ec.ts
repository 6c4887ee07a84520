import { createECDH, createPrivateKey, createPublicKey, generateKeyPair, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { CURVES, combinedX, invert } from './ec-curves.ts'
import type { EcCurve, EcCurveName } from './ec-curves.ts'
import { KeyError } from './key-error.ts'

export type EcSignature = 'ES256' | 'ES384' | 'ES512' | 'ES256K'

export interface EcKey {
  readonly curve: EcCurveName
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export interface EcPublicJwk {
  kty: 'EC'
  /** Key Vault's name: P-256K, where RFC 8812 says secp256k1. */
  crv: EcCurveName
  /** Base64url, big-endian, as long as the field. */
  x: string
  y: string
}

const ALGORITHMS: Readonly<Record<EcSignature, { curve: EcCurveName; digestBytes: number }>> = {
  ES256: { curve: 'P-256', digestBytes: 32 },
  ES384: { curve: 'P-384', digestBytes: 48 },
  ES512: { curve: 'P-521', digestBytes: 64 },
  ES256K: { curve: 'P-256K', digestBytes: 32 },
}

function ecKeyOf(privateKey: KeyObject): EcKey {
  const found = Object.entries(CURVES).find(
    ([, { openssl }]) => openssl === privateKey.asymmetricKeyDetails?.namedCurve,
  )
  if (privateKey.type !== 'private' || found === undefined)
    throw new KeyError('BadKey', 'This is not a private key on P-256, P-384, P-521 or P-256K.')
  return { curve: found[0] as EcCurveName, privateKey, publicKey: createPublicKey(privateKey) }
}

function curveOf(name: unknown): EcCurve {
  const canonical = name === 'secp256k1' ? 'P-256K' : name
  if (typeof canonical === 'string' && Object.hasOwn(CURVES, canonical)) return CURVES[canonical as EcCurveName]
  throw new KeyError('BadParameter', 'The crv of an EC key is P-256, P-384, P-521 or P-256K.')
}

/** A new key pair, made in the thread pool. @throws KeyError BadParameter */
export async function generateEc(curve: EcCurveName): Promise<EcKey> {
  const { openssl } = curveOf(curve)
  return new Promise((resolve, reject) => {
    generateKeyPair('ec', { namedCurve: openssl }, (error, _publicKey, privateKey) => {
      if (error)
        reject(
          new KeyError(
            'Unsupported',
            `OpenSSL refused to make a key on ${curve}: a FIPS provider does not have P-256K.`,
          ),
        )
      else resolve(ecKeyOf(privateKey))
    })
  })
}

/** PKCS#8 DER, unencrypted: seal it at once, then wipe it. */
export function exportEcPrivate(key: EcKey): Buffer {
  return key.privateKey.export({ type: 'pkcs8', format: 'der' })
}

/** Reads what `exportEcPrivate` wrote. @throws KeyError BadKey */
export function importEcPrivate(der: Uint8Array): EcKey {
  const key = Buffer.from(der.buffer, der.byteOffset, der.byteLength)
  return ecKeyOf(parse({ key, format: 'der', type: 'pkcs8' }))
}

function parse(input: Parameters<typeof createPrivateKey>[0]): KeyObject {
  try {
    return createPrivateKey(input)
  } catch {
    throw new KeyError('BadKey', 'This is not an EC private key that OpenSSL can read.')
  }
}

/** Imports a private JWK (RFC 7518, 6.2.2): its point must lie on the curve and belong to d. @throws KeyError BadKey, BadParameter */
export function importEcJwk(jwk: Readonly<Record<string, unknown>>): EcKey {
  const { openssl, crv, bytes } = curveOf(jwk.crv)
  const [x, y, d] = (['x', 'y', 'd'] as const).map(field => {
    const value = jwk[field]
    if (
      typeof value !== 'string' ||
      !/^[A-Za-z0-9_-]+$/.test(value) ||
      Buffer.from(value, 'base64url').length !== bytes
    )
      throw new KeyError('BadKey', `The field ${field} of this EC key must be ${bytes} bytes in base64url.`, field)
    return value
  })
  const key = ecKeyOf(parse({ key: { kty: 'EC', crv, x: x!, y: y!, d: d! }, format: 'jwk' }))
  const ecdh = createECDH(openssl)
  try {
    ecdh.setPrivateKey(d!, 'base64url')
  } catch {
    throw new KeyError('BadKey', "The EC key's d does not lie between 1 and the order of the curve.", 'd')
  }
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')])
  if (!ecdh.getPublicKey().equals(point)) throw new KeyError('BadKey', "The EC key's x and y don't belong to its d.")
  return key
}

/** The public half, as Key Vault shows it. */
export function ecPublicJwk(key: EcKey): EcPublicJwk {
  const { x, y } = key.publicKey.export({ format: 'jwk' })
  return { kty: 'EC', crv: key.curve, x: x!, y: y! }
}

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex') || '0'}`)
}

function coordinate(value: bigint, bytes: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex')
}

function checkedCurve(alg: EcSignature, key: EcKey, digest: Uint8Array): EcCurve {
  const wanted = Object.hasOwn(ALGORITHMS, alg) ? ALGORITHMS[alg] : undefined
  if (wanted === undefined)
    throw new KeyError('Unsupported', `EC keys don't sign with ${alg}: use ES256, ES384, ES512 or ES256K.`, 'alg')
  if (wanted.curve !== key.curve)
    throw new KeyError('Unsupported', `${alg} needs a key on ${wanted.curve}, this one is on ${key.curve}.`, 'alg')
  if (digest.length !== wanted.digestBytes)
    throw new KeyError(
      'BadParameter',
      `${alg} signs a digest of ${wanted.digestBytes} bytes, not ${digest.length}: hash the message first.`,
    )
  return CURVES[wanted.curve]
}

/**
 * Signs a digest with ECDSA (FIPS 186-5, 6.4.1), as Key Vault's `sign` takes it: r and s, each as long as the field (RFC 7518, 3.4).
 * node:crypto signs messages only. The nonce and its point are OpenSSL's (a fresh key pair, in constant time). BigInt does not run in
 * constant time, so what is computed here with secrets is blinded by a random factor. @throws KeyError Unsupported, BadParameter
 */
export async function ecSign(alg: EcSignature, key: EcKey, digest: Uint8Array): Promise<Buffer> {
  const { openssl, bytes, n } = checkedCurve(alg, key, digest)
  const d = integer(Buffer.from(key.privateKey.export({ format: 'jwk' }).d!, 'base64url'))
  for (;;) {
    const nonce = createECDH(openssl)
    const r = integer(nonce.generateKeys().subarray(1, 1 + bytes)) % n
    const blind = (integer(randomBytes(bytes + 8)) % (n - 1n)) + 1n
    const blindedKey = (blind * d) % n
    const sum = (((blind * integer(digest)) % n) + blindedKey * r) % n
    const s = (sum * invert((integer(nonce.getPrivateKey()) * blind) % n, n)) % n
    // FIPS 186-5: take a new nonce when either is zero (about once in 2^256).
    if (r !== 0n && s !== 0n) return Buffer.concat([coordinate(r, bytes), coordinate(s, bytes)])
  }
}

/** Whether `signature` (r and s) signs the digest (FIPS 186-5, 6.4.2). @throws KeyError Unsupported, BadParameter */
export async function ecVerify(
  alg: EcSignature,
  key: EcKey,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const curve = checkedCurve(alg, key, digest)
  const { bytes, n } = curve
  if (signature.length !== 2 * bytes) return false
  const r = integer(signature.subarray(0, bytes))
  const s = integer(signature.subarray(bytes))
  if (r === 0n || s === 0n || r >= n || s >= n) return false
  const { x, y } = ecPublicJwk(key)
  const w = invert(s, n)
  const point = [integer(Buffer.from(x, 'base64url')), integer(Buffer.from(y, 'base64url'))] as const
  const found = combinedX(curve, (integer(digest) * w) % n, (r * w) % n, point)
  return found !== undefined && found % n === r
}

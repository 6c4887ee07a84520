import { constants, getFips, publicEncrypt, subtle } from 'node:crypto'
import type { KeyObject, webcrypto } from 'node:crypto'
import { KeyError } from './key-error.ts'
import { runPrivateKeyJob } from './private-key-workers.ts'
import { exportPrivate, parsePrivate } from './rsa-key.ts'
import type { RsaKey } from './rsa-key.ts'

export { exportPrivate, generateRsa, importPrivate, publicJwk } from './rsa-key.ts'
export type { RsaKey } from './rsa-key.ts'
export { importRsaJwk } from './rsa-jwk.ts'
export { rsaSign, rsaVerify } from './rsa-sign.ts'
export type { RsaSignature } from './rsa-sign.ts'

export type RsaEncryption = 'RSA-OAEP' | 'RSA-OAEP-256' | 'RSA1_5'

const OAEP_HASH = { 'RSA-OAEP': 'SHA-1', 'RSA-OAEP-256': 'SHA-256' } as const
/**
 * node:crypto locks a key during each WebCrypto operation, and even the main thread waits for the lock when it starts another one.
 * So each operation gets a copy of the key for itself: there is one for each thread of libuv's pool, and one for the next in the queue.
 */
const COPIES = (Number(process.env['UV_THREADPOOL_SIZE']) || 4) + 1

interface Copies {
  readonly free: webcrypto.CryptoKey[]
  made: number
  readonly waiting: ((copy: webcrypto.CryptoKey) => void)[]
}

const oaepKeys = new WeakMap<KeyObject, Partial<Record<RsaEncryption, Copies>>>()

/**
 * Encrypts up to a block under the public key (RFC 8017, 7.1 and 7.2). @throws KeyError BadParameter for a plaintext that is too long.
 */
export async function rsaEncrypt(alg: RsaEncryption, key: RsaKey | KeyObject, plaintext: Uint8Array): Promise<Buffer> {
  const publicKey = 'publicKey' in key ? key.publicKey : key
  const bytes = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  const overhead = alg === 'RSA1_5' ? 11 : alg === 'RSA-OAEP' ? 42 : 66
  if (plaintext.length > bytes - overhead)
    throw new KeyError(
      'BadParameter',
      `${alg} under this key takes at most ${Math.floor(bytes) - overhead} bytes, not ${plaintext.length}.`,
    )
  // It takes 30 microseconds, less than a round trip to a thread.
  if (alg === 'RSA1_5') return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, plaintext)
  const oaepHash = alg === 'RSA-OAEP' ? 'sha1' : 'sha256'
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, plaintext)
}

/**
 * Decrypts off the main thread. RSA1_5 never fails on bad padding: OpenSSL answers with pseudo-random bytes instead (implicit rejection).
 * @throws KeyError BadParameter (length), DecryptionFailed, Unsupported (RSA1_5 in FIPS mode)
 */
export async function rsaDecrypt(alg: RsaEncryption, key: RsaKey, ciphertext: Uint8Array): Promise<Buffer> {
  const length = Math.ceil(key.bits / 8)
  if (ciphertext.length !== length)
    throw new KeyError('BadParameter', `A text encrypted under this key has ${length} bytes, not ${ciphertext.length}.`)
  const plaintext = await (alg === 'RSA1_5'
    ? runPrivateKeyJob({
        operation: 'decrypt',
        key: key.privateKey,
        padding: constants.RSA_PKCS1_PADDING,
        input: ciphertext,
      })
    : decryptOaep(alg, key, ciphertext))
  // A FIPS module of OpenSSL 3.0 has no implicit rejection, and NIST SP 800-131A no longer allows RSA1_5, so FIPS mode always refuses it.
  if (plaintext === undefined && alg === 'RSA1_5' && getFips() === 1)
    throw new KeyError('Unsupported', 'RSA1_5 does not decrypt in FIPS mode: use RSA-OAEP-256.')
  if (plaintext === undefined)
    throw new KeyError(
      'DecryptionFailed',
      `The text does not decrypt with ${alg}: another key or algorithm encrypted it, or it was altered.`,
    )
  return plaintext
}

async function decryptOaep(
  alg: 'RSA-OAEP' | 'RSA-OAEP-256',
  key: RsaKey,
  ciphertext: Uint8Array,
): Promise<Buffer | undefined> {
  const copies = copiesOf(alg, key)
  const copy = copies.free.pop() ?? (await nextCopy(copies, alg, key))
  try {
    return Buffer.from(await subtle.decrypt({ name: 'RSA-OAEP' }, copy, ciphertext))
  } catch {
    return undefined
  } finally {
    const next = copies.waiting.shift()
    if (next) next(copy)
    else copies.free.push(copy)
  }
}

function copiesOf(alg: RsaEncryption, key: RsaKey): Copies {
  const byAlgorithm = oaepKeys.get(key.privateKey) ?? {}
  oaepKeys.set(key.privateKey, byAlgorithm)
  return (byAlgorithm[alg] ??= { free: [], made: 0, waiting: [] })
}

/** A new copy, or, when there are enough, the first that becomes free. */
async function nextCopy(copies: Copies, alg: 'RSA-OAEP' | 'RSA-OAEP-256', key: RsaKey): Promise<webcrypto.CryptoKey> {
  if (copies.made === COPIES) return new Promise(resolve => copies.waiting.push(resolve))
  const der = exportPrivate(key)
  const copy = parsePrivate(der).toCryptoKey({ name: 'RSA-OAEP', hash: OAEP_HASH[alg] }, false, ['decrypt'])
  der.fill(0)
  copies.made += 1
  return copy
}

import { createPublicKey, type KeyObject } from 'node:crypto'
import { KeyError } from '../crypto/key-error.ts'
import { oaepDecode } from '../crypto/oaep.ts'
import { digestInfo, signatureHash } from '../crypto/rsa-sign.ts'
import { importPrivate, rsaEncrypt, rsaVerify, type RsaSignature } from '../crypto/rsa.ts'
import { wipe } from '../crypto/wrap.ts'
import { AzureError } from '../http/errors.ts'
import { isReason } from '../pkcs11/cryptoki.ts'
import { TokenError, TokenKeyMissing } from '../pkcs11/token-error.ts'
import { isUnsupported, type RsaNumbers, type Token, type TokenRsaKey } from '../pkcs11/token.ts'
import { badParameter } from './errors.ts'
import type { CryptoRequest, KeyModule, NewKey, UsableKey } from './key-module.ts'
import type { CryptoOperation } from './key-rules.ts'
import type { KeyType } from './key-record.ts'
import { among, asBadParameter, operationTarget, RSA_SIGNATURES } from './software-operations.ts'

const OAEP_HASHES = { 'RSA-OAEP': 'sha1', 'RSA-OAEP-256': 'sha256' } as const
type Oaep = keyof typeof OAEP_HASHES

/** The handle that is sealed in the records in place of key material. */
interface Handle {
  /** CKA_ID of the private key. */
  readonly pkcs11: string
  readonly n: string
  readonly e: string
}

/**
 * RSA-HSM keys in a PKCS #11 token; all others are sealed software keys (also EC-HSM and oct-HSM). Without a token, operations on its
 * keys say what is missing. Software RSA-HSM keys from before there was a token go on working.
 */
export function withToken(software: KeyModule, token: Token | undefined): KeyModule {
  const present = (): Token => {
    if (token !== undefined) return token
    throw unavailable('This key lives in a PKCS #11 token: start OwnKey with --pkcs11-module and --pkcs11-pin-file.')
  }
  const brought = async (kty: KeyType, made: NewKey): Promise<NewKey> =>
    kty === 'RSA-HSM' && token !== undefined ? intoToken(token, made) : made
  return {
    async generate(spec) {
      if (spec.kty !== 'RSA-HSM' || token === undefined) return software.generate(spec)
      return newKey(await answered(() => token.generateRsa(spec.size, spec.publicExponent)))
    },
    importKey: async jwk => brought(jwk.kty, await software.importKey(jwk)),
    importSecret: async (kty, secret) => brought(kty, await software.importSecret(kty, secret)),
    async open(kty, material) {
      const handle = handleOf(kty, material)
      return handle === undefined ? software.open(kty, material) : tokenOperations(present, handle)
    },
    outside: (kty, material) => handleOf(kty, material)?.pkcs11,
    destroy: id => answered(() => present().destroy(id)),
  }
}

/** Software RSA-HSM keys begin with the SEQUENCE of PKCS #8, handles with a brace. */
function handleOf(kty: KeyType, material: Buffer): Handle | undefined {
  if (kty !== 'RSA-HSM' || material[0] !== 0x7b) return undefined
  return JSON.parse(material.toString()) as Handle
}

function newKey({ id, n, e }: TokenRsaKey): NewKey {
  const publicPart = { n: n.toString('base64url'), e: e.toString('base64url') }
  const handle: Handle = { pkcs11: id, ...publicPart }
  return { size: n.length * 8, publicPart, material: Buffer.from(JSON.stringify(handle)) }
}

/** R06: an imported key is checked in software once; after that it is in the token alone. */
async function intoToken(token: Token, { material }: NewKey): Promise<NewKey> {
  const jwk = importPrivate(material).privateKey.export({ format: 'jwk' })
  wipe(material)
  const names = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const
  const numbers = Object.fromEntries(names.map(name => [name, Buffer.from(jwk[name] ?? '', 'base64url')]))
  try {
    return newKey(await answered(() => token.importRsa(numbers as unknown as RsaNumbers)))
  } finally {
    for (const number of Object.values(numbers)) wipe(number)
  }
}

/** Private operations run in the token, public ones here. */
function tokenOperations(present: () => Token, { pkcs11: id, n, e }: Handle): UsableKey {
  const publicKey = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
  /** The hashes that this token refuses for OAEP. */
  const foreign = new Set<Oaep>()
  const perform = async (operation: CryptoOperation, { alg, value, signature }: CryptoRequest): Promise<Buffer> => {
    if (operation === 'sign' || operation === 'verify') {
      const name = among(RSA_SIGNATURES, alg, operation, 'RSA-HSM') as RsaSignature
      if (operation === 'sign') return answered(() => sign(present(), id, name, value))
      return Buffer.of((await rsaVerify(name, publicKey, value, signature ?? Buffer.alloc(0))) ? 1 : 0)
    }
    const name = oaepOf(alg, operation)
    if (operation === 'encrypt' || operation === 'wrapKey') return rsaEncrypt(name, publicKey, value)
    checkLength(publicKey, value)
    return answered(() => decrypt(present(), id, name, value, foreign))
  }
  return {
    perform: async (operation, request) => ({
      value: await asBadParameter(() => perform(operation, request), operationTarget(operation)),
    }),
  }
}

/** RSA1_5 is not offered: a token tells whether the padding was right, and with that an attacker can decrypt (Bleichenbacher 1998). */
function oaepOf(alg: string, operation: CryptoOperation): Oaep {
  if (alg !== 'RSA1_5') return among(Object.keys(OAEP_HASHES), alg, operation, 'RSA-HSM') as Oaep
  throw badParameter(
    `RSA1_5 is not done with keys in a PKCS #11 token, which would show whether the padding was right. Use RSA-OAEP-256.`,
    'alg',
  )
}

function sign(token: Token, id: string, alg: RsaSignature, digest: Buffer): Promise<Buffer> {
  const info = digestInfo(alg, digest)
  if (alg.startsWith('RS')) return token.sign(id, { type: 'pkcs1' }, info)
  return token.sign(id, { type: 'pss', hash: signatureHash(alg, digest) }, digest)
}

function checkLength(publicKey: KeyObject, ciphertext: Buffer): void {
  const length = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  if (ciphertext.length === length) return
  throw new KeyError('BadParameter', `A text encrypted under this key has ${length} bytes, not ${ciphertext.length}.`)
}

/** OAEP in the token where it has the hash (SoftHSM 2: SHA-1 only). Otherwise RSADP in the token, and the padding is removed here. */
async function decrypt(token: Token, id: string, alg: Oaep, ciphertext: Buffer, foreign: Set<Oaep>): Promise<Buffer> {
  const hash = OAEP_HASHES[alg]
  try {
    if (!foreign.has(alg)) return await token.decrypt(id, { type: 'oaep', hash }, ciphertext)
  } catch (error) {
    if (!isUnsupported(error)) throw undecipherable(alg, error)
    foreign.add(alg)
  }
  const raw = await token.decrypt(id, { type: 'raw' }, ciphertext).catch((error: unknown) => {
    throw undecipherable(alg, error)
  })
  // Some tokens drop leading zeros.
  const block = Buffer.concat([Buffer.alloc(ciphertext.length - raw.length), raw])
  const message = oaepDecode(hash, block)
  wipe(raw)
  wipe(block)
  if (message === undefined) throw undecipherable(alg)
  return message
}

/** The same message for every wrong ciphertext. Faults of the token itself are passed on. */
function undecipherable(alg: Oaep, error?: unknown): unknown {
  const reasons = ['ENCRYPTED_DATA_INVALID', 'ENCRYPTED_DATA_LEN_RANGE', 'DATA_INVALID', 'DATA_LEN_RANGE'] as const
  // SoftHSM says GENERAL_ERROR for wrong padding.
  if (error !== undefined && !isReason(error, ...reasons, 'GENERAL_ERROR', 'FUNCTION_FAILED')) return error
  return new KeyError(
    'DecryptionFailed',
    `The text does not decrypt with ${alg}: another key or algorithm encrypted it, or it was altered.`,
  )
}

/** 503 for failures of the token, since the caller's input was right. */
async function answered<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof TokenKeyMissing) throw unavailable(error.message, error)
    if (error instanceof TokenError) throw unavailable(`The PKCS #11 token does not work: ${error.message}.`, error)
    throw error
  }
}

function unavailable(message: string, cause?: unknown): AzureError {
  return new AzureError('ServiceUnavailable', 503, message, { cause })
}

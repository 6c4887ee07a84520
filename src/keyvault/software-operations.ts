import type { KeyObject } from 'node:crypto'
import { ecSign, ecVerify, type EcKey, type EcSignature } from '../crypto/ec.ts'
import { KeyError } from '../crypto/key-error.ts'
import { octDecrypt, octEncrypt, type OctEncryption } from '../crypto/oct.ts'
import {
  rsaDecrypt,
  rsaEncrypt,
  rsaSign,
  rsaVerify,
  type RsaEncryption,
  type RsaKey,
  type RsaSignature,
} from '../crypto/rsa.ts'
import { SealError } from '../crypto/seal-error.ts'
import { aesKwpUnwrap, aesKwpWrap, aesKwUnwrap, aesKwWrap } from '../crypto/wrap.ts'
import { badParameter } from './errors.ts'
import type { CryptoOperation } from './key-rules.ts'
import type { CryptoRequest, CryptoResult, UsableKey } from './key-module.ts'

const RSA_ENCRYPTIONS = ['RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5']
export const RSA_SIGNATURES = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const EC_SIGNATURES = ['ES256', 'ES384', 'ES512', 'ES256K']

/**
 * What the crypto module refuses is the caller's input, so it is a 400 with the module's reason, which has no key bytes. `targetOf` maps
 * the module's name of the field (or undefined) to the field of the request.
 */
export async function asBadParameter<T>(
  run: () => Promise<T>,
  targetOf: (field: string | undefined) => string | undefined = field => field ?? 'value',
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof KeyError) throw badParameter(error.message, targetOf(error.field))
    if (error instanceof SealError) throw badParameter(error.message, targetOf(undefined))
    throw error
  }
}

/** In a verification the digest has another name than in a signature. */
export function operationTarget(operation: CryptoOperation): (field: string | undefined) => string {
  return field => field ?? (operation === 'verify' ? 'digest' : 'value')
}

/** Of an imported key. */
export function memberTarget(field: string | undefined): string {
  return field === undefined ? 'key' : `key.${field}`
}

export function rsaOperations(key: RsaKey): UsableKey {
  return {
    async perform(operation, { alg, value, signature }) {
      if (operation === 'sign' || operation === 'verify') {
        const name = among(RSA_SIGNATURES, alg, operation, 'RSA') as RsaSignature
        if (operation === 'sign') return { value: await rsaSign(name, key, value) }
        return truth(await rsaVerify(name, key, value, signature ?? Buffer.alloc(0)))
      }
      const name = among(RSA_ENCRYPTIONS, alg, operation, 'RSA') as RsaEncryption
      const forward = operation === 'encrypt' || operation === 'wrapKey'
      return { value: await (forward ? rsaEncrypt(name, key, value) : rsaDecrypt(name, key, value)) }
    },
  }
}

export function ecOperations(key: EcKey): UsableKey {
  return {
    async perform(operation, { alg, value, signature }) {
      const name = among(EC_SIGNATURES, alg, operation, 'EC') as EcSignature
      if (operation === 'sign') return { value: await ecSign(name, key, value) }
      if (operation === 'verify') return truth(await ecVerify(name, key, value, signature ?? Buffer.alloc(0)))
      throw incompatible(alg, operation, 'EC', [])
    },
  }
}

export function octOperations(key: KeyObject): UsableKey {
  const bits = (key.symmetricKeySize ?? 0) * 8
  const wraps = [`A${bits}KW`, 'CKM_AES_KEY_WRAP', 'CKM_AES_KEY_WRAP_PAD']
  const ciphers = ['GCM', 'CBC', 'CBCPAD'].map(mode => `A${bits}${mode}`)
  const type = `oct-HSM of ${bits} bits`
  return {
    async perform(operation, request) {
      if (operation === 'wrapKey' || operation === 'unwrapKey') {
        const padded = among(wraps, request.alg, operation, type) === 'CKM_AES_KEY_WRAP_PAD'
        const [wrap, unwrap] = padded ? [aesKwpWrap, aesKwpUnwrap] : [aesKwWrap, aesKwUnwrap]
        return { value: (operation === 'wrapKey' ? wrap : unwrap)(key, request.value) }
      }
      const alg = among(ciphers, request.alg, operation, type) as OctEncryption
      if (operation === 'encrypt') return encryptOct(alg, key, request)
      if (operation === 'decrypt') return decryptOct(alg, key, request)
      throw incompatible(request.alg, operation, type, [])
    },
  }
}

function encryptOct(alg: OctEncryption, key: KeyObject, { value, iv, aad }: CryptoRequest): CryptoResult {
  const options = { ...(iv === undefined ? {} : { iv }), ...(aad === undefined ? {} : { additionalData: aad }) }
  const made = octEncrypt(alg, key, value, options)
  return {
    value: made.ciphertext,
    iv: made.iv,
    ...(made.tag === undefined ? {} : { tag: made.tag }),
    ...(aad === undefined ? {} : { aad }),
  }
}

function decryptOct(alg: OctEncryption, key: KeyObject, { value, iv, aad, tag }: CryptoRequest): CryptoResult {
  const text = { iv: iv ?? Buffer.alloc(0), ciphertext: value, ...(tag === undefined ? {} : { tag }) }
  return { value: octDecrypt(alg, key, text, aad) }
}

function truth(valid: boolean): CryptoResult {
  return { value: Buffer.of(valid ? 1 : 0) }
}

export function among(possible: readonly string[], alg: string, operation: CryptoOperation, type: string): string {
  if (possible.includes(alg)) return alg
  throw incompatible(alg, operation, type, possible)
}

function incompatible(alg: string, operation: string, type: string, possible: readonly string[]): Error {
  const advice = possible.length === 0 ? 'Use a key of another type.' : `Use ${possible.join(', ')}.`
  return badParameter(
    `Key and algorithm are incompatible: a key of type ${type} can't ${operation} with '${alg}'. ${advice}`,
    'alg',
  )
}

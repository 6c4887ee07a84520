import type { CryptoOperation } from './key-rules.ts'
import type { Curve, KeyType, PublicPart } from './key-record.ts'

/** What to generate; `size` in bits. */
export type KeySpec =
  | { readonly kty: 'RSA' | 'RSA-HSM'; readonly size: number; readonly publicExponent: number }
  | { readonly kty: 'EC' | 'EC-HSM'; readonly curve: Curve }
  | { readonly kty: 'oct-HSM'; readonly size: number }

/** A JSON Web Key with its private members, every binary as base64url. */
export interface PrivateJwk {
  readonly kty: KeyType
  readonly [member: string]: string | undefined
}

export interface NewKey {
  /** Bits. */
  readonly size: number
  readonly publicPart: PublicPart
  /** What the module needs to use the key again: key material, or the handle of a token's key. It is sealed before it is stored. */
  readonly material: Buffer
}

/** Input of a cryptographic operation, decoded; `value` is the digest for sign and verify. */
export interface CryptoRequest {
  readonly alg: string
  readonly value: Buffer
  readonly signature?: Buffer
  readonly iv?: Buffer
  readonly aad?: Buffer
  readonly tag?: Buffer
}

export interface CryptoResult {
  /** The result; for verify one byte, 1 or 0. */
  readonly value: Buffer
  readonly iv?: Buffer
  readonly aad?: Buffer
  readonly tag?: Buffer
}

/** A key ready for use. It stays in memory only. */
export interface UsableKey {
  /** @throws 400 BadParameter when the algorithm does not fit the key, or the input the algorithm */
  perform(operation: CryptoOperation, request: CryptoRequest): Promise<CryptoResult>
}

/** Makes keys and works with them, in software or in a PKCS #11 token that they never leave. */
export interface KeyModule {
  generate(spec: KeySpec): Promise<NewKey>
  /** @throws 400 BadParameter when the JSON Web Key is not a whole private key of a supported size */
  importKey(jwk: PrivateJwk): Promise<NewKey>
  /** The same for PKCS #8 (RSA, EC) or raw bytes (oct). The caller wipes `secret`. @throws 400 BadParameter */
  importSecret(kty: KeyType, secret: Buffer): Promise<NewKey>
  open(kty: KeyType, material: Buffer): Promise<UsableKey>
  /**
   * A name, which is not secret, of the part of the key outside of its sealed record; undefined where there is none. Such a key can't be
   * backed up, and purging it destroys that part.
   */
  outside?(kty: KeyType, material: Buffer): string | undefined
  /** For good. It is not an error when it is gone already. */
  destroy?(outside: string): Promise<void>
}

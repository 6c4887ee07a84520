import { badParameter, keyDisabled, keyExpired, keyNotFound, keyNotYetValid, keyOperationForbidden } from './errors.ts'
import type { Key, KeyType, KeyVersion } from './key-record.ts'

export const KEY_OPERATIONS = [
  'encrypt',
  'decrypt',
  'sign',
  'verify',
  'wrapKey',
  'unwrapKey',
  'import',
  'export',
] as const

export type CryptoOperation = 'encrypt' | 'decrypt' | 'sign' | 'verify' | 'wrapKey' | 'unwrapKey'

const DEFAULT_OPERATIONS: Record<KeyType, readonly CryptoOperation[]> = {
  RSA: ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'],
  'RSA-HSM': ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'],
  EC: ['sign', 'verify'],
  'EC-HSM': ['sign', 'verify'],
  'oct-HSM': ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'],
}

/** What Azure gives a key that is created without `key_ops`. */
export function defaultKeyOps(kty: KeyType): readonly string[] {
  return DEFAULT_OPERATIONS[kty]
}

/** @throws 400 when the key type can't do one of them; `import` excludes all others, as on Azure */
export function checkKeyOps(kty: KeyType, wanted: readonly string[]): readonly string[] {
  const operations = [...new Set(wanted)]
  if (operations.includes('import')) {
    if (operations.length === 1 && kty === 'RSA-HSM') return operations
    throw badParameter("key_ops 'import' must stand alone and needs a key of type RSA-HSM.", 'key_ops')
  }
  const possible: readonly string[] = DEFAULT_OPERATIONS[kty]
  const impossible = operations.find(operation => !possible.includes(operation))
  if (impossible === undefined) return operations
  if (impossible === 'export') {
    throw badParameter("key_ops 'export' needs an exportable key, and there are none here.", 'key_ops')
  }
  throw badParameter(`key_ops '${impossible}' is not possible with a key of type ${kty}.`, 'key_ops')
}

/** Only updates, lists and deletion work on a disabled version (R21). @throws 403 KeyDisabled */
export function checkEnabled(version: KeyVersion, operation: string): void {
  if (!version.enabled) throw keyDisabled(operation)
}

/** Operations that read existing ciphertext or signatures, so they work outside nbf..exp too (Azure: about-keys-details). */
const ALWAYS_IN_TIME: ReadonlySet<string> = new Set(['decrypt', 'unwrapKey', 'verify'])

/** Checks that this version may do this now. `now` in milliseconds. @throws 403 with KeyDisabled, KeyOperationForbidden, KeyExpired or KeyNotYetValid */
export function checkUsable(version: KeyVersion, operation: CryptoOperation, now: number): void {
  checkEnabled(version, operation)
  if (!version.keyOps.includes(operation)) throw keyOperationForbidden(operation)
  if (ALWAYS_IN_TIME.has(operation)) return
  if (version.exp !== undefined && now >= version.exp * 1000) throw keyExpired(operation)
  if (version.nbf !== undefined && now < version.nbf * 1000) throw keyNotYetValid(operation)
}

const NAME = /^[0-9a-zA-Z-]{1,127}$/

/** @throws 400 BadParameter */
export function checkKeyName(name: string): string {
  if (NAME.test(name)) return name
  throw badParameter(
    `The request URI contains an invalid name: ${name.slice(0, 127)}. A key's name has 1 to 127 letters, digits and hyphens.`,
    'key-name',
  )
}

/** The key, unless it is deleted. @throws 404 KeyNotFound */
export function live(key: Key | undefined, id: string): Key {
  if (key === undefined || key.deleted !== undefined) throw keyNotFound(id)
  return key
}

/** @throws 400 when the key would expire before it becomes valid */
export function checkTimes(nbf: number | undefined, exp: number | undefined): void {
  if (nbf !== undefined && exp !== undefined && exp <= nbf) {
    throw badParameter("Property 'attributes.exp' has to be later than 'attributes.nbf'.", 'attributes.exp')
  }
}

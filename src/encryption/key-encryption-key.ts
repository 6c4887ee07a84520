import { createSecretKey, type KeyObject } from 'node:crypto'
import { openBox, sealBox } from '../crypto/box.ts'
import { encodeContext, newDataKey, wipe } from '../crypto/wrap.ts'
import type { Change } from '../store/records.ts'

/** What wraps an account's data keys. `id` is the key's full URI with version, or `service:<account id>`. */
export interface KeyEncryptionKey {
  readonly id: string
  readonly algorithm: 'RSA-OAEP-256' | 'A256GCM'
  /** Changes that keep a new key, for the same commit as what it wraps. */
  readonly kept?: Change
  /** @throws KeyUnavailable */
  wrap(plaintext: Uint8Array): Promise<Buffer>
  /** @throws KeyUnavailable */
  unwrap(wrapped: Uint8Array): Promise<Buffer>
}

export function serviceKeyId(accountId: string): string {
  return `service:${accountId}`
}

/** R04: a service-managed key-encryption key, new for each account, sealed under the root key. */
export function newServiceKey(serviceRoot: KeyObject, accountId: string): Buffer {
  const bytes = newDataKey()
  const sealed = sealBox(serviceRoot, encodeContext('service-managed key', accountId), bytes)
  wipe(bytes)
  return sealed
}

export function openServiceKey(serviceRoot: KeyObject, accountId: string, sealed: Uint8Array): KeyEncryptionKey {
  const bytes = openBox(serviceRoot, encodeContext('service-managed key', accountId), sealed)
  const key = createSecretKey(bytes)
  wipe(bytes)
  const associatedData = encodeContext('account data key', accountId)
  return {
    id: serviceKeyId(accountId),
    algorithm: 'A256GCM',
    wrap: async plaintext => sealBox(key, associatedData, plaintext),
    unwrap: async wrapped => openBox(key, associatedData, wrapped),
  }
}

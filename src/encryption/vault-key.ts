import type { KeyVaultKey } from '@azure/keyvault-keys'
import type { KeyEncryptionKey } from './key-encryption-key.ts'
import { formatKeyIdentifier, type KeyIdentifier } from './key-identifier.ts'
import { KeyUnavailable, type KeyUnavailableCause } from './key-unavailable.ts'
import { receiving, sending } from './secret-transfer.ts'
import { listening, type Conversation } from './vault-answer.ts'
import { asKey } from './read-key.ts'
import {
  openClients,
  renewing,
  type VaultClients,
  type VaultConnection,
  type VaultCredential,
} from './vault-clients.ts'
import { keyUnavailableFrom, throttled } from './vault-error.ts'

/** RSA key of a vault, used over its REST API with the account's identity. All vaults have the same code path. */
export interface VaultKey extends KeyEncryptionKey {
  /** Reads the key, which checks the permission `get`. The SDK's cryptography client would skip that. */
  read(): Promise<KeyVaultKey>
  /**
   * Finds the cause of a refusal that does not name it. A key that is not even among the deleted ones was purged, and its data is gone.
   * A vault without an inner error may let its key be read.
   */
  explain(refused: KeyUnavailable): Promise<KeyUnavailable>
}

/** @param key with its version, since data is unwrapped by the version that wrapped it; without one, the version that `read` finds */
export function openVaultKey(key: KeyIdentifier, credential: VaultCredential, connection: VaultConnection): VaultKey {
  const ask = asking(key, credential, connection)
  return {
    id: formatKeyIdentifier(key),
    algorithm: 'RSA-OAEP-256',
    read: () => ask((clients, options) => readKey(clients, key, options)),
    wrap: plaintext =>
      // The SDK would do RSA-OAEP and RSA1_5 locally, without permission check or audit record, so this is RSA-OAEP-256 only.
      ask(async ({ cryptography }, options) =>
        bytesOf((await sending(plaintext, stand => cryptography().wrapKey('RSA-OAEP-256', stand, options))).result),
      ),
    unwrap: wrapped =>
      ask(async ({ cryptography }, options) =>
        receiving(async () => {
          const { result } = await cryptography().unwrapKey('RSA-OAEP-256', wrapped, options)
          return { result: bytesOf(result) }
        }),
      ),
    explain: refused => explain(refused, key, ask),
  }
}

/** The SDK returns the body of any 200, such as a proxy's page. */
function bytesOf(result: unknown): Buffer {
  if (!(result instanceof Uint8Array) || result.length === 0) throw new Error('no result')
  return Buffer.from(result)
}

type Ask = <T>(operation: Operation<T>) => Promise<T>

/** Runs operations within the time limit, names the causes of failures, and renews a token that the vault refuses, once. */
function asking(key: KeyIdentifier, credential: VaultCredential, connection: VaultConnection): Ask {
  const id = formatKeyIdentifier(key)
  const place = { keyId: id, isOutside: connection.agentFor(key.vaultUri) === 'network' }
  let clients = openClients(key, credential, connection)
  const attempt: Ask = async operation => {
    // Checked each time before anything is sent, so that a customer's URI can't choose whom this service calls.
    if (connection.agentFor(key.vaultUri) === undefined) throw new KeyUnavailable('VaultNotAllowed', id)
    const left = connection.waits.left(key.vaultUri)
    if (left > 0) throw throttled(place, left)
    const asked = clients
    const gaveUp = Promise.withResolvers<never>()
    gaveUp.promise.catch(() => undefined)
    const ended = new AbortController()
    const timer = setTimeout(() => gaveUp.reject(new Error('late')), connection.timeoutMs)
    const heard: Conversation = {
      last: undefined,
      fail: error => {
        gaveUp.reject(error)
        asked.isAbandoned = true
        if (clients === asked) clients = openClients(key, credential, connection)
      },
    }
    try {
      const answered = listening(heard, () => operation(asked, { abortSignal: ended.signal }))
      // The SDK's waits for a token ignore the signal.
      return await Promise.race([answered, gaveUp.promise])
    } catch (error) {
      // After an operation that succeeded, a token may still be renewed in the background.
      ended.abort()
      const { status, retryAfterMs = 0 } = heard.last ?? {}
      if (status === 429 && retryAfterMs > 0) connection.waits.note(key.vaultUri, retryAfterMs)
      throw keyUnavailableFrom(error, place, heard.last)
    } finally {
      clearTimeout(timer)
    }
  }
  return async operation => {
    const asked = clients
    try {
      return await attempt(operation)
    } catch (error) {
      if (!(error instanceof KeyUnavailable) || error.reason !== 'TokenRefused') throw error
      // The token may have expired by the vault's clock, or its signing key may be gone, so it is tried once with a new one.
      if (clients === asked) clients = openClients(key, renewing(credential), connection)
      return attempt(operation)
    }
  }
}

type Operation<T> = (clients: VaultClients, options: { readonly abortSignal: AbortSignal }) => Promise<T>

async function readKey(
  clients: VaultClients,
  { name, version }: KeyIdentifier,
  options: { readonly abortSignal: AbortSignal },
): Promise<KeyVaultKey> {
  const read = await clients.keys.getKey(name, { ...(version === undefined ? {} : { version }), ...options })
  const key = asKey(read)
  clients.readVersion = key.properties.version
  return key
}

/** The cause of a missing key, or of a refusal without a reason, from what can be read. */
async function explain(refused: KeyUnavailable, { name, version }: KeyIdentifier, ask: Ask): Promise<KeyUnavailable> {
  if (refused.reason === 'Forbidden') {
    const read = await ask((clients, options) =>
      clients.keys.getKey(name, { ...(version === undefined ? {} : { version }), ...options }).then(asKey),
    ).catch(() => undefined)
    const reason = read === undefined ? undefined : reasonIn(read)
    return reason === undefined ? refused : refused.withReason(reason)
  }
  if (refused.reason !== 'KeyNotFound') return refused
  const found = async (operation: Operation<unknown>): Promise<boolean | undefined> => {
    try {
      await ask(operation)
      return true
    } catch (error) {
      return (error as KeyUnavailable).reason === 'KeyNotFound' ? false : undefined
    }
  }
  const isDeleted = await found(({ keys }, options) => keys.getDeletedKey(name, options))
  // A key of the same name exists, so only this version is missing.
  const isThere = isDeleted === false ? await found(({ keys }, options) => keys.getKey(name, options)) : undefined
  return isThere === false ? refused.withReason('KeyPurged') : refused
}

/** A valid key was refused, so a permission must be missing. */
function reasonIn({ properties: { enabled, expiresOn, notBefore }, keyOperations }: KeyVaultKey): KeyUnavailableCause {
  const now = Date.now()
  if (enabled === false) return 'KeyDisabled'
  if ((expiresOn?.getTime() ?? now + 1) <= now || (notBefore?.getTime() ?? 0) > now) return 'KeyExpired'
  const lacks = ['wrapKey', 'unwrapKey'].some(operation => keyOperations?.includes(operation) === false)
  return lacks ? 'KeyOperationForbidden' : 'AccessDenied'
}

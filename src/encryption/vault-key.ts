import type { Agent } from 'node:http'
import type { TokenCredential } from '@azure/core-auth'
import type { PipelinePolicy } from '@azure/core-rest-pipeline'
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import type { KeyEncryptionKey } from './key-encryption-key.ts'
import { keepRefusals, keyUnavailableFrom } from './vault-error.ts'
import type { KeyIdentifier } from './key-identifier.ts'
import { formatKeyIdentifier } from './key-identifier.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { carrySecrets, receiving, sending } from './secret-transfer.ts'

/** How this process reaches vaults. */
export interface VaultConnection {
  /** Agent for our own vaults, the network for those outside that may be called; undefined: this one may not. */
  agentFor(vaultUri: string): Agent | 'network' | undefined
  /** Milliseconds for one operation, retries included; then the vault counts as unreachable. */
  readonly timeoutMs: number
}

/** RSA key of a vault, used over its REST API with the account's identity. One code path for every vault. */
export interface VaultKey extends KeyEncryptionKey {
  /** Reads the key: checks the permission `get` by itself, which the SDK's cryptography client would skip. */
  read(): Promise<KeyVaultKey>
  /** What became of a key that is not found: one that is not even among the deleted ones was purged, and its data is gone. */
  explain(refused: KeyUnavailable): Promise<KeyUnavailable>
}

const RETRY_DELAY_MS = 150

/** @param key with its version: what was wrapped by a version is unwrapped by that version */
export function openVaultKey(key: KeyIdentifier, credential: TokenCredential, connection: VaultConnection): VaultKey {
  const id = formatKeyIdentifier(key)
  const options = clientOptions(key.vaultUri, connection)
  const keys = new KeyClient(key.vaultUri, credential, options)
  // Without key material the client does every operation in the vault, where permissions are checked and audited.
  const remote: KeyVaultKey = {
    id,
    name: key.name,
    properties: { id, name: key.name, vaultUrl: key.vaultUri, version: key.version } as KeyVaultKey['properties'],
  }
  const cryptography = new CryptographyClient(remote, credential, options)
  const ask = async <T>(operation: (abortSignal: AbortSignal) => Promise<T>): Promise<T> => {
    // Asked each time, before anything is sent: a URI that a customer gives must not choose whom this service calls.
    if (connection.agentFor(key.vaultUri) === undefined) throw new KeyUnavailable('VaultNotAllowed', id)
    const abortSignal = AbortSignal.timeout(connection.timeoutMs)
    try {
      return await operation(abortSignal)
    } catch (error) {
      throw keyUnavailableFrom(error, id)
    }
  }
  return {
    id,
    algorithm: 'RSA-OAEP-256',
    read: () =>
      ask(abortSignal =>
        keys.getKey(key.name, { ...(key.version === undefined ? {} : { version: key.version }), abortSignal }),
      ),
    wrap: async plaintext => {
      // RSA-OAEP-256 only: the SDK would do RSA-OAEP and RSA1_5 locally, without permission check or audit record.
      const { result } = await ask(abortSignal =>
        sending(plaintext, stand => cryptography.wrapKey('RSA-OAEP-256', stand, { abortSignal })),
      )
      return Buffer.from(result)
    },
    unwrap: async wrapped => {
      return ask(abortSignal => receiving(() => cryptography.unwrapKey('RSA-OAEP-256', wrapped, { abortSignal })))
    },
    explain: async refused => {
      if (refused.reason !== 'KeyNotFound') return refused
      const found = async (operation: (abortSignal: AbortSignal) => Promise<unknown>): Promise<boolean | undefined> => {
        try {
          await ask(operation)
          return true
        } catch (error) {
          return (error as KeyUnavailable).reason === 'KeyNotFound' ? false : undefined
        }
      }
      const isDeleted = await found(abortSignal => keys.getDeletedKey(key.name, { abortSignal }))
      // A key of the same name means that it is only this version which is missing.
      const isThere =
        isDeleted === false ? await found(abortSignal => keys.getKey(key.name, { abortSignal })) : undefined
      return isThere === false ? new KeyUnavailable('KeyPurged', id, refused.options.innererror?.innererror) : refused
    },
  }
}

/** The SDK tries a 429 again only when it says how long to wait. */
const waitWhenThrottled: PipelinePolicy = {
  name: 'ownkeyWaitWhenThrottled',
  sendRequest: async (request, next) => {
    const response = await next(request)
    const says = ['retry-after', 'retry-after-ms', 'x-ms-retry-after-ms'].some(name => response.headers.has(name))
    if (response.status === 429 && !says) response.headers.set('retry-after-ms', String(RETRY_DELAY_MS))
    return response
  },
}

function clientOptions(vaultUri: string, connection: VaultConnection): object {
  const route = connection.agentFor(vaultUri)
  const agent = typeof route === 'object' ? route : undefined
  const useAgent: PipelinePolicy = {
    name: 'ownkeyAgent',
    sendRequest: (request, next) => {
      if (agent !== undefined) request.agent = agent
      return next(request)
    },
  }
  return {
    additionalPolicies: [
      { policy: useAgent, position: 'perRetry' },
      { policy: carrySecrets, position: 'perRetry' },
      { policy: keepRefusals, position: 'perRetry' },
      { policy: waitWhenThrottled, position: 'perRetry' },
    ],
    retryOptions: { maxRetries: 2, retryDelayInMs: RETRY_DELAY_MS, maxRetryDelayInMs: 1000 },
    // No vault redirects; who does may lead elsewhere.
    redirectOptions: { maxRetries: 0 },
    // An embedded vault's challenge names our own domain, which is not Microsoft's.
    ...(agent === undefined ? {} : { disableChallengeResourceVerification: true }),
  }
}

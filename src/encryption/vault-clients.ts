import type { Agent } from 'node:http'
import type { TokenCredential } from '@azure/core-auth'
import type { PipelinePolicy } from '@azure/core-rest-pipeline'
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import { formatKeyIdentifier, type KeyIdentifier } from './key-identifier.ts'
import { carrySecrets } from './secret-transfer.ts'
import { conversation, keepAnswers, shortAnswers } from './vault-answer.ts'
import { retryAfterMs, type VaultWaits } from './vault-waits.ts'

/** How this process reaches vaults. */
export interface VaultConnection {
  /** The agent for our own vaults, or the network for outside vaults that may be called; undefined: this one must not be called. */
  agentFor(vaultUri: string): Agent | 'network' | undefined
  /** Milliseconds for one operation with its retries. After that the vault counts as unreachable. */
  readonly timeoutMs: number
  /** Vaults that must not be asked for a while, for all callers. */
  readonly waits: VaultWaits
}

/** A credential of an account, for a vault. */
export interface VaultCredential extends TokenCredential {
  /**
   * Asked before each request: a client keeps its token for an hour, and what gave it may be gone sooner, also by another process.
   * @throws IdentityMissing
   */
  readonly mayAsk?: () => Promise<void>
}

const RETRY_DELAY_MS = 150
const WAIT_HEADERS = ['retry-after', 'retry-after-ms', 'x-ms-retry-after-ms']

/** Microsoft's clients of one key, which hold the vault's challenge and the token. */
export interface VaultClients {
  readonly keys: KeyClient
  /** For the version of the key's URI, or, without one, for the version that was read last. */
  readonly cryptography: () => CryptographyClient
  readVersion: string | undefined
  /** They can't get a token any more, and nobody waits for one. */
  isAbandoned: boolean
}

export function openClients(
  key: KeyIdentifier,
  credential: VaultCredential,
  connection: VaultConnection,
): VaultClients {
  const options = clientOptions(key.vaultUri, credential, connection)
  const known = new Map<string, CryptographyClient>()
  const impatient = atOnce(credential, () => clients.isAbandoned)
  const open = (version: string | undefined): CryptographyClient => {
    const id = formatKeyIdentifier(version === undefined ? key : { ...key, version })
    // Without key material the client does every operation in the vault, where permissions are checked and audited.
    const remote = { id, name: key.name, properties: { id, name: key.name, vaultUrl: key.vaultUri, version } }
    return new CryptographyClient(remote as KeyVaultKey, impatient, options)
  }
  const clients: VaultClients = {
    keys: new KeyClient(key.vaultUri, impatient, options),
    cryptography: () => {
      const version = key.version ?? clients.readVersion
      const found = known.get(version ?? '') ?? open(version)
      known.clear()
      known.set(version ?? '', found)
      return found
    },
    readVersion: undefined,
    isAbandoned: false,
  }
  return clients
}

/**
 * Once the SDK has had a token, it asks for another every three seconds until the first expires, for an hour. That is right while the
 * first is valid, but not after the vault refused it.
 */
function atOnce(credential: TokenCredential, isAbandoned: () => boolean): TokenCredential {
  let tenantBefore: string | undefined
  return {
    getToken: async (scopes, options) => {
      // Ends that wait. With the operation's signal nothing is sent.
      if (isAbandoned()) return { token: 'none', expiresOnTimestamp: 0 }
      try {
        const token = await credential.getToken(scopes, options)
        tenantBefore = options?.tenantId
        return token
      } catch (error) {
        if (options?.claims !== undefined || options?.tenantId !== tenantBefore) conversation()?.fail(error)
        throw error
      }
    },
  }
}

/** The same credential with new tokens: the claims (continuous access evaluation) bypass caches. */
export function renewing(credential: VaultCredential): VaultCredential {
  const nbf = { essential: true, value: String(Math.floor(Date.now() / 1000)) }
  const claims = JSON.stringify({ access_token: { nbf } })
  return {
    ...(credential.mayAsk === undefined ? {} : { mayAsk: credential.mayAsk }),
    getToken: (scopes, options) => credential.getToken(scopes, { claims, ...options }),
  }
}

/** The SDK repeats a request after a 429 only when that says how long to wait. A wait that is too long for us is not begun. */
const waitWhenThrottled = (timeoutMs: number): PipelinePolicy => ({
  name: 'ownkeyWaitWhenThrottled',
  sendRequest: async (request, next) => {
    const response = await next(request)
    if (response.status !== 429) return response
    const wait = retryAfterMs(response.headers) ?? RETRY_DELAY_MS
    for (const name of WAIT_HEADERS) response.headers.delete(name)
    if (wait < timeoutMs) response.headers.set('retry-after-ms', String(wait))
    return response
  },
})

/** R31, R32: whatever the token, an account without its identity asks nothing. */
const askOnlyWithIdentity = ({ mayAsk }: VaultCredential): PipelinePolicy => ({
  name: 'ownkeyIdentity',
  sendRequest: async (request, next) => {
    await mayAsk?.()
    return next(request)
  },
})

function clientOptions(vaultUri: string, credential: VaultCredential, connection: VaultConnection): object {
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
      { policy: askOnlyWithIdentity(credential), position: 'perCall' },
      { policy: useAgent, position: 'perRetry' },
      { policy: carrySecrets, position: 'perRetry' },
      // Outside of the next policy, so it sees the vault's wait time.
      { policy: waitWhenThrottled(connection.timeoutMs), position: 'perRetry' },
      { policy: keepAnswers, position: 'perRetry' },
      // Our own are.
      ...(route === 'network' ? [{ policy: shortAnswers, position: 'perRetry' }] : []),
    ],
    retryOptions: { maxRetries: 2, retryDelayInMs: RETRY_DELAY_MS, maxRetryDelayInMs: 1000 },
    // Vaults don't redirect, and a redirect could lead elsewhere.
    redirectOptions: { maxRetries: 0 },
    // Our own vaults name our domain, which is not Microsoft's. For outside vaults the credential checks the resource.
    disableChallengeResourceVerification: true,
  }
}

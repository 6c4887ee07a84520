import type { Agent } from 'node:http'
import type { TokenCredential } from '@azure/core-auth'
import type { Account } from '../accounts/account.ts'
import type { VaultDescription, VaultDirectory } from '../accounts/vault-directory.ts'
import type { ResourceManager } from '../arm/resource-manager.ts'
import type { KeyRingOptions } from '../encryption/key-ring.ts'
import { IdentityMissing } from '../encryption/vault-error.ts'
import type { VaultConnection, VaultCredential } from '../encryption/vault-clients.ts'
import { VaultWaits } from '../encryption/vault-waits.ts'
import type { Entra } from '../entra/open-entra.ts'
import { Forbidden } from '../http/errors.ts'
import { liveVault, vaultResourceId } from '../keyvault/vault-record.ts'
import { CredentialUnavailable, outsideVaults } from './outside-vaults.ts'
import type { RecordStore } from '../store/records.ts'

const VAULT_TIMEOUT_MS = 8000

/** How accounts reach the vaults of their keys: this cloud's own, and outside vaults that its operator allows. */
export interface VaultAccess extends VaultConnection, VaultDirectory, Pick<KeyRingOptions, 'credentialOf'> {
  /** Sets the connection to this cloud's own vaults, once it listens. */
  readonly connect: (agent: Agent) => void
}

interface VaultAccessOptions {
  readonly records: RecordStore
  readonly domain: string
  readonly port: number
  /** Every port this cloud has listened on. */
  readonly ownPorts: ReadonlySet<number>
  readonly outsideVaults?: readonly string[]
  readonly log: (message: string, error?: unknown) => void
}

export function openVaultAccess(
  { records, domain, port, ownPorts, outsideVaults: allowed = [], log }: VaultAccessOptions,
  given: { readonly entra: Entra; readonly resourceManager: ResourceManager },
  accountOf: (accountId: string) => Promise<Account | undefined>,
): VaultAccess {
  let agent: Agent | undefined
  const outside = outsideVaults(allowed, log)
  const suffix = `.vault.${domain}`
  const isOwn = (vaultUri: string): boolean => {
    const url = new URL(vaultUri)
    // Exactly one label, which names the vault. No other host is served here.
    if (!url.hostname.endsWith(suffix) || !/^[a-z0-9-]+$/.test(url.hostname.slice(0, -suffix.length))) return false
    const named = Number(url.port || 443)
    // A key URI from before the cloud moved to another port is still its own, unless the operator allows that port as an outside vault.
    return named === port || (ownPorts.has(named) && !outside.allows(vaultUri))
  }
  return {
    timeoutMs: VAULT_TIMEOUT_MS,
    waits: new VaultWaits(),
    isOwn,
    agentFor: vaultUri => (isOwn(vaultUri) ? agent : outside.allows(vaultUri) ? 'network' : undefined),
    credentialOf: (accountId, vaultUri) =>
      identityCredential(
        () => accountOf(accountId),
        given,
        isOwn(vaultUri) ? undefined : outside.credentialFor(vaultUri),
      ),
    describe: async vaultUri => {
      if (isOwn(vaultUri)) return describeOwn(records, vaultUri)
      return outside.allows(vaultUri) ? 'outside' : undefined
    },
    connect: own => {
      agent = own
    },
  }
}

/**
 * R13, R31: the account's own identity asks the vault, whatever the caller's rights. An outside vault does not know it, so there
 * the operator's credential asks on its behalf, and only while the identity exists.
 */
function identityCredential(
  account: () => Promise<Account | undefined>,
  { entra, resourceManager }: { readonly entra: Entra; readonly resourceManager: ResourceManager },
  outside?: TokenCredential,
): VaultCredential {
  const identity = async (): Promise<string> => {
    const found = await account()
    const principalId = found?.identity?.principalId
    if (principalId === undefined) throw new IdentityMissing('The resource has no system-assigned identity.')
    await checkTenant(found, resourceManager)
    return principalId
  }
  return {
    mayAsk: async () => void (await identity()),
    getToken: async (scopes, options) => {
      const principalId = await identity()
      try {
        if (outside !== undefined) return await outside.getToken(scopes, options)
        const { token, expiresAt } = await entra.identities.token(
          principalId,
          [scopes].flat()[0]?.replace(/\/\.default$/, '') ?? '',
          { isNew: options?.claims !== undefined },
        )
        return { token, expiresOnTimestamp: expiresAt }
      } catch (error) {
        if (error instanceof Forbidden) throw new IdentityMissing(error.message)
        if (error instanceof CredentialUnavailable) throw new IdentityMissing(error.message, 'CredentialUnavailable')
        throw error
      }
    },
  }
}

/** R32: an identity does not move along with its subscription. */
async function checkTenant(account: Account | undefined, resourceManager: ResourceManager): Promise<void> {
  if (account?.identity === undefined) return
  const { tenantId } = await resourceManager.subscription(account.subscriptionId)
  const { principalId, tenantId: left } = account.identity
  if (left === tenantId) return
  throw new IdentityMissing(
    `The subscription was moved from tenant ${left} to ${tenantId}; the resource's identity ${principalId} stayed behind in the former.`,
    'IdentityLeftBehind',
  )
}

/** Settings of an embedded vault, from Resource Manager. */
async function describeOwn(records: RecordStore, vaultUri: string): Promise<VaultDescription | undefined> {
  const vault = (await liveVault(records, new URL(vaultUri).hostname.split('.')[0] ?? ''))?.value
  if (vault === undefined) return undefined
  const {
    tenantId,
    enableSoftDelete,
    enablePurgeProtection,
    enableRbacAuthorization,
    networkAcls,
    publicNetworkAccess,
  } = vault.properties
  return {
    name: vault.name,
    id: vaultResourceId(vault),
    location: vault.location,
    tenantId,
    softDelete: enableSoftDelete,
    purgeProtection: enablePurgeProtection,
    rbacAuthorization: enableRbacAuthorization,
    firewall: networkAcls?.defaultAction === 'Deny' || publicNetworkAccess === 'Disabled',
    trustedServices: networkAcls === undefined || networkAcls.bypass === 'AzureServices',
  }
}

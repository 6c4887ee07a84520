import { collection } from '../store/records.ts'

/** `properties.encryption` as ARM spells it (R15). */
export interface EncryptionSettings {
  readonly keySource: 'Microsoft.CognitiveServices' | 'Microsoft.KeyVault'
  readonly keyVaultProperties?: {
    readonly keyVaultUri: string
    readonly keyName: string
    /** Empty: the latest version. */
    readonly keyVersion: string
  }
  /** Beyond the article: whether a change to another key also re-encrypts what was stored before. */
  readonly reEncryptOnEnable?: true
}

/** Which addresses may use the data plane. */
export interface NetworkAcls {
  readonly defaultAction: 'Allow' | 'Deny'
  readonly ipRules: readonly { readonly value: string }[]
  readonly virtualNetworkRules: readonly { readonly id: string }[]
}

/** A Microsoft.CognitiveServices account: the owner of files, jobs, models and deployments. */
export interface Account {
  /** Immutable GUID. Data is bound to it, since a name may later belong to another account. */
  readonly accountId: string
  /** The ARM resource id, as it was spelled at creation. */
  readonly id: string
  readonly subscriptionId: string
  readonly group: string
  readonly name: string
  readonly kind: string
  readonly sku: { readonly name: string }
  readonly location: string
  readonly tags: Readonly<Record<string, string>>
  /** Label of its host below the OpenAI suffix. */
  readonly subdomain: string
  readonly identity?: { readonly principalId: string; readonly tenantId: string }
  readonly encryption: EncryptionSettings
  readonly disableLocalAuth: boolean
  /** Absent: open to every address. */
  readonly networkAcls?: NetworkAcls
  /** Absent: Enabled. */
  readonly publicNetworkAccess?: 'Enabled' | 'Disabled'
  /** Base64: both API keys, sealed under the service's identity key. */
  readonly sealedKeys: string
  readonly createdAt: string
  /** When it was soft-deleted. Its data is kept, under its keys, until it is restored or purged. Milliseconds since 1970. */
  readonly deleted?: { readonly at: number; readonly purgeAt: number }
  /** Its keys are being destroyed, so it can't be restored any more. */
  readonly purging?: true
}

/** By account id (GUID). */
export const accounts = collection<Account>('accounts.accounts')
/** By `<subscription>/<group>/<name>` in lower case. */
export const accountNames = collection<{ readonly accountId: string }>('accounts.names')
/** By subdomain. */
export const subdomains = collection<{ readonly accountId: string }>('accounts.subdomains')

export function accountKey(subscriptionId: string, group: string, name: string): string {
  return `${subscriptionId}/${group}/${name}`.toLowerCase()
}

export const ACCOUNT_TYPE = 'Microsoft.CognitiveServices/accounts'

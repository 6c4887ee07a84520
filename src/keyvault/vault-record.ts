import { formatResourceId } from '../arm/resource-id.ts'
import { everyRecord } from '../store/every-record.ts'
import { collection, leaveOut, type RecordStore, type Stored } from '../store/records.ts'

interface Permissions {
  readonly keys: readonly string[]
  readonly secrets: readonly string[]
  readonly certificates: readonly string[]
  readonly storage: readonly string[]
}

export interface AccessPolicy {
  readonly tenantId: string
  readonly objectId: string
  /** Compound identity: the policy holds only while this application acts for `objectId`. */
  readonly applicationId?: string
  readonly permissions: Permissions
}

export interface NetworkAcls {
  readonly bypass: 'AzureServices' | 'None'
  readonly defaultAction: 'Allow' | 'Deny'
  readonly ipRules: readonly { readonly value: string }[]
  readonly virtualNetworkRules: readonly { readonly id: string }[]
}

export interface VaultProperties {
  readonly tenantId: string
  readonly sku: { readonly family: 'A'; readonly name: 'standard' | 'premium' }
  readonly accessPolicies: readonly AccessPolicy[]
  readonly enabledForDeployment: boolean
  readonly enabledForDiskEncryption: boolean
  readonly enabledForTemplateDeployment: boolean
  readonly enableSoftDelete: boolean
  readonly softDeleteRetentionInDays: number
  readonly enableRbacAuthorization: boolean
  readonly enablePurgeProtection: boolean
  readonly networkAcls?: NetworkAcls
  readonly publicNetworkAccess: 'Enabled' | 'Disabled'
}

/** When something soft-deleted was deleted and when it will be purged; milliseconds since 1970. */
export interface Deletion {
  readonly at: number
  readonly purgeAt: number
}

export interface Vault {
  /** Immutable GUID. Key material is bound to it, so a later vault of the same name opens nothing of this one. */
  readonly id: string
  readonly name: string
  readonly subscriptionId: string
  readonly group: string
  readonly location: string
  readonly tags: Readonly<Record<string, string>>
  readonly properties: VaultProperties
  /** Milliseconds since 1970. */
  readonly createdAt: number
  readonly createdBy: string
  readonly changedAt: number
  readonly changedBy: string
  readonly deleted?: Deletion
  /** Its keys are being destroyed, so it can't be recovered any more. */
  readonly purging?: true
}

/** By name in lower case. Names are global, and stay taken while the vault is soft-deleted. */
export const vaults = collection<Vault>('keyvault.vaults')

export const VAULT_TYPE = 'Microsoft.KeyVault/vaults'

export function vaultResourceId(vault: Vault): string {
  const { subscriptionId, group, name } = vault
  return formatResourceId({ subscriptionId, group, type: VAULT_TYPE, name })
}

/** The vault of that name that is not deleted. */
export async function liveVault(records: RecordStore, name: string): Promise<Stored<Vault> | undefined> {
  const found = await records.get(vaults, name.toLowerCase())
  return found?.value.deleted === undefined ? found : undefined
}

/** Every vault, deleted ones too, page by page. */
export function allVaults(records: RecordStore): AsyncGenerator<Stored<Vault>> {
  return everyRecord(records, vaults, { onTampered: leaveOut })
}

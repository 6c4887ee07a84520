import { config } from './config.ts'
import { call, listAll, type RequestOptions } from './http.ts'

export const VERSIONS = {
  accounts: '2025-06-01',
  vaults: '2023-07-01',
  resources: '2022-09-01',
  subscriptions: '2022-12-01',
} as const

export interface Subscription {
  readonly subscriptionId: string
  readonly displayName: string
  readonly tenantId: string
  readonly state: string
}

export interface Resource {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly location: string
  readonly tags?: Readonly<Record<string, string>>
}

export interface KeyStatus {
  readonly state: 'Active' | 'KeyUnavailable'
  /** The key version that wraps the data keys now. */
  readonly keyIdentifier?: string
  readonly cause?: string
  /** What is wrong and what fixes it. */
  readonly message?: string
  readonly since?: string
  readonly lastSuccess?: string
  readonly lastChecked?: string
  /** Blobs still sealed under a data key from before the current key. */
  readonly earlierGenerationBlobs?: number
}

export interface Encryption {
  readonly keySource: 'Microsoft.CognitiveServices' | 'Microsoft.KeyVault'
  readonly keyVaultProperties?: {
    readonly keyVaultUri: string
    readonly keyName: string
    /** Empty or absent: the newest version is followed. */
    readonly keyVersion?: string
  }
  /** Whether a change to another key also re-encrypts what was stored before. */
  readonly reEncryptOnEnable?: boolean
  readonly status?: KeyStatus
  readonly warnings?: readonly { readonly code: string; readonly message: string }[]
}

export interface Account extends Resource {
  readonly kind: string
  readonly sku: { readonly name: string }
  readonly identity?: { readonly type: string; readonly principalId?: string; readonly tenantId?: string }
  readonly properties: {
    readonly provisioningState: string
    readonly endpoint: string
    readonly customSubDomainName: string
    readonly dateCreated?: string
    readonly encryption?: Encryption
    readonly disableLocalAuth?: boolean
    readonly [name: string]: unknown
  }
}

export interface AccessPolicy {
  readonly tenantId: string
  readonly objectId: string
  readonly applicationId?: string
  readonly permissions: {
    readonly keys?: readonly string[]
    readonly secrets?: readonly string[]
    readonly certificates?: readonly string[]
    readonly storage?: readonly string[]
  }
}

export interface Vault extends Resource {
  readonly properties: {
    readonly tenantId: string
    readonly vaultUri: string
    readonly sku: { readonly family: string; readonly name: string }
    readonly enableSoftDelete?: boolean
    readonly softDeleteRetentionInDays?: number
    readonly enablePurgeProtection?: boolean
    readonly enableRbacAuthorization?: boolean
    readonly accessPolicies?: readonly AccessPolicy[]
    readonly publicNetworkAccess?: string
    readonly networkAcls?: {
      readonly bypass?: string
      readonly defaultAction?: string
      readonly ipRules?: readonly { readonly value: string }[]
      readonly virtualNetworkRules?: readonly { readonly id: string }[]
    }
    readonly [name: string]: unknown
  }
}

export interface Deployment {
  readonly id: string
  readonly name: string
  readonly sku?: { readonly name: string; readonly capacity?: number }
  readonly properties: {
    readonly model: { readonly format: string; readonly name: string; readonly version?: string }
    readonly provisioningState: string
    readonly [name: string]: unknown
  }
}

/** `/subscriptions/...` below Resource Manager, with the user's token. */
export function arm<T>(path: string, version: string, options: RequestOptions = {}): Promise<T> {
  return call<T>(armUrl(path, version), { scope: 'management', ...options })
}

export function armList<T>(path: string, version: string): Promise<T[]> {
  return listAll<T>(armUrl(path, version), { scope: 'management' })
}

function armUrl(path: string, version: string): string {
  const separator = path.includes('?') ? '&' : '?'
  return `${config().resourceManager}${path}${separator}api-version=${version}`
}

export const listSubscriptions = (): Promise<Subscription[]> => armList('/subscriptions', VERSIONS.subscriptions)

/** The resources of a type in all of the user's subscriptions. */
export async function listResources<T extends Resource>(type: 'accounts' | 'vaults'): Promise<T[]> {
  const provider = type === 'accounts' ? 'Microsoft.CognitiveServices/accounts' : 'Microsoft.KeyVault/vaults'
  const subscriptions = await listSubscriptions()
  const lists = await Promise.all(
    subscriptions.map(({ subscriptionId }) =>
      armList<T>(`/subscriptions/${subscriptionId}/providers/${provider}`, VERSIONS[type]),
    ),
  )
  return lists.flat()
}

export const getAccount = (id: string): Promise<Account> => arm(id, VERSIONS.accounts)
export const getVault = (id: string): Promise<Vault> => arm(id, VERSIONS.vaults)

/** `resource group`, `subscription` and `name` of a resource's id. */
export function idParts(id: string): { subscriptionId: string; group: string; name: string } {
  const parts = id.split('/')
  return { subscriptionId: parts[2] ?? '', group: parts[4] ?? '', name: parts[8] ?? '' }
}

/** The same vault, whatever the letter case and the last slash. */
export const sameUri = (a: string, b: string): boolean =>
  a.replace(/\/$/, '').toLowerCase() === b.replace(/\/$/, '').toLowerCase()

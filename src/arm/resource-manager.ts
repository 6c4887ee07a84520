import type { Caller } from '../http/route.ts'

export interface ResourceGroup {
  readonly id: string
  readonly name: string
  readonly subscriptionId: string
  readonly location: string
  readonly tags: Readonly<Record<string, string>>
}

export interface Subscription {
  readonly subscriptionId: string
  readonly displayName: string
  readonly tenantId: string
  readonly state: 'Enabled' | 'Disabled'
}

/** What resource providers need of Resource Manager. */
export interface ResourceManager {
  /**
   * Checks that the caller's roles allow `action` (for example `Microsoft.KeyVault/vaults/write`) at the resource id or above.
   * @throws 403 AuthorizationFailed
   */
  authorize(caller: Caller, scope: string, action: string): Promise<void>
  /** As `authorize`, for data actions (for example `Microsoft.CognitiveServices/accounts/OpenAI/files/read`), without throwing. */
  allowsData(caller: Caller, scope: string, dataAction: string): Promise<boolean>
  /** @throws 404 SubscriptionNotFound */
  subscription(subscriptionId: string): Promise<Subscription>
  /** @throws 404 ResourceGroupNotFound, SubscriptionNotFound */
  group(subscriptionId: string, name: string): Promise<ResourceGroup>
}

/** A resource as the generic lists of Resource Manager show it. */
export interface GenericResource {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly location: string
  readonly tags?: Readonly<Record<string, string>>
  readonly kind?: string
}

/** A provider's resource type, registered with Resource Manager by main. */
export interface ResourceType {
  /** For example `Microsoft.KeyVault/vaults`. */
  readonly type: string
  readonly apiVersions: readonly string[]
  /** The live resources of a subscription, or of one of its groups. */
  list(subscriptionId: string, group?: string): Promise<readonly GenericResource[]>
}

import type { Caller } from '../http/route.ts'
import type { Change } from '../store/records.ts'

export type Tags = Readonly<Record<string, string>>

export interface ResourceGroup {
  readonly id: string
  readonly name: string
  readonly subscriptionId: string
  readonly location: string
  readonly tags: Tags
  /** Id of the operation that deletes it. It takes no new resources any more. */
  readonly deleting?: string
}

export interface Subscription {
  readonly subscriptionId: string
  readonly displayName: string
  readonly tenantId: string
  /** `Disabled`: cancelled, read only until it is enabled again. */
  readonly state: 'Enabled' | 'Disabled'
  readonly tags?: Tags
  /** An offer of a move to another tenant, which its future owner has not accepted yet (R32). */
  readonly transfer?: { readonly tenantId: string; readonly ownerId: string }
}

/** Decides for one caller and one subscription, with role assignments that are read once; for filtering lists. */
export type Rights = (scope: string, action: string) => boolean

export interface GroupForNew {
  readonly group: ResourceGroup
  /** For the commit of the resource: the group is still so, and is not being deleted. Its VersionConflict has `groups` as the collection. */
  readonly held: Change
}

/** What resource providers need from Resource Manager. */
export interface ResourceManager {
  /**
   * Checks that the caller's roles allow `action` (for example `Microsoft.KeyVault/vaults/write`) at the resource id or above.
   * @throws 403 AuthorizationFailed, 401 InvalidAuthenticationTokenTenant, 404 SubscriptionNotFound, 409 ReadOnlyDisabledSubscription
   */
  authorize(caller: Caller, scope: string, action: string): Promise<void>
  /** As `authorize`, for many scopes of one subscription. @throws 401 InvalidAuthenticationTokenTenant for a caller of another tenant */
  rights(caller: Caller, subscriptionId: string): Promise<Rights>
  /** As `authorize`, for data actions (for example `Microsoft.CognitiveServices/accounts/OpenAI/files/read`), without throwing. */
  allowsData(caller: Caller, scope: string, dataAction: string): Promise<boolean>
  /** @throws 404 SubscriptionNotFound */
  subscription(subscriptionId: string): Promise<Subscription>
  /** @throws 404 ResourceGroupNotFound, SubscriptionNotFound */
  group(subscriptionId: string, name: string): Promise<ResourceGroup>
  /** The group that a new resource goes into. @throws as `group`; 409 ResourceGroupBeingDeleted */
  groupForNew(subscriptionId: string, name: string): Promise<GroupForNew>
}

/** A resource as the generic lists of Resource Manager show it. */
export interface GenericResource {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly location: string
  readonly tags?: Tags
  readonly kind?: string
  readonly sku?: object
  readonly identity?: object
}

/** The target of a moved resource. */
export interface Place {
  readonly subscriptionId: string
  readonly group: string
}

/** R32: something that a move of the subscription to another tenant breaks or leaves behind, and what fixes it. */
export interface TenantChangeFinding {
  readonly code: string
  /** Resource id. */
  readonly target: string
  readonly message: string
  readonly remedy: string
}

/** A provider's resource type, registered with Resource Manager by main. */
export interface ResourceType {
  /** For example `Microsoft.KeyVault/vaults`. */
  readonly type: string
  readonly apiVersions: readonly string[]
  /** The live resources of a subscription, or of one of its groups. */
  list(subscriptionId: string, group?: string): Promise<readonly GenericResource[]>
  /**
   * Deletes a resource because its group is deleted. It is not an error when it is gone already.
   * @param fence for its commit: of the process that deletes the group, since later a group of that name may have such a resource too
   */
  delete(resource: GenericResource, fence: readonly Change[]): Promise<void>
  /** The changes that move a resource, for one commit with everything that moves along. @throws 409 when it can't be moved */
  move(resource: GenericResource, to: Place): Promise<readonly Change[]>
  setTags(resource: GenericResource, tags: Tags): Promise<readonly Change[]>
  /** What a move of the subscription to another tenant would break. */
  beforeTenantChange(subscriptionId: string): Promise<readonly TenantChangeFinding[]>
}

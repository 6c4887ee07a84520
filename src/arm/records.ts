import { collection } from '../store/records.ts'
import { scopeKey } from './resource-id.ts'
import type { ResourceGroup, Subscription } from './resource-manager.ts'
import type { RoleAssignment } from './roles.ts'

/** By subscription id. */
export const subscriptions = collection<Subscription>('arm.subscriptions')
/** By `<subscription id>/<name in lower case>`. */
export const groups = collection<ResourceGroup>('arm.groups')
/** By `<subscription id>/<GUID>`; those at the root scope by `tenant:<tenant id>/<GUID>`. */
export const roleAssignments = collection<RoleAssignment>('arm.role-assignments')
/** Names that subscriptions were created under, by `<tenant id>/<alias in lower case>`. */
export const aliases = collection<{ readonly alias: string; readonly subscriptionId: string }>('arm.aliases')

export interface TagName {
  readonly tagName: string
  /** Values that were created for it. */
  readonly values?: readonly string[]
}
/** Tag names that were created before any resource has them, by `<subscription id>/<name in lower case>`. */
export const tagNames = collection<TagName>('arm.tag-names')

export function groupKey(subscriptionId: string, name: string): string {
  return `${subscriptionId}/${name.toLowerCase()}`
}

/** The id prefix of a scope's assignments. Those of a subscription share one, so a single list gives all that count there. */
export function assignmentPrefix(scope: string, tenantId: string): string {
  const subscriptionId = /^\/subscriptions\/([^/]+)/.exec(scopeKey(scope))?.[1]
  return subscriptionId === undefined ? `tenant:${tenantId}/` : `${subscriptionId}/`
}

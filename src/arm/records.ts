import { collection } from '../store/records.ts'
import type { ResourceGroup, Subscription } from './resource-manager.ts'
import type { RoleAssignment } from './roles.ts'

/** By subscription id. */
export const subscriptions = collection<Subscription>('arm.subscriptions')
/** By `<subscription id>/<name in lower case>`. */
export const groups = collection<ResourceGroup>('arm.groups')
/** By the assignment's GUID. */
export const roleAssignments = collection<RoleAssignment>('arm.role-assignments')

export function groupKey(subscriptionId: string, name: string): string {
  return `${subscriptionId}/${name.toLowerCase()}`
}

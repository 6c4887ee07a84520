import type { Env } from '../base/env.ts'
import { put, type Change } from '../store/records.ts'
import { assignmentPrefix, roleAssignments, subscriptions } from './records.ts'
import type { RoleAssignment } from './roles.ts'

const OWNER = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635'
const OPENAI_CONTRIBUTOR = 'a001fd3d-188f-4b5d-821b-7da978bf7442'

/** The first subscription of a new cloud, with its administrator as owner who may also use the data plane. */
export function firstSubscription(
  env: Env,
  tenantId: string,
  administratorIds: readonly string[],
): { subscriptionId: string; changes: Change[] } {
  const subscriptionId = env.uuid()
  const value = { subscriptionId, displayName: 'OwnKey', tenantId, state: 'Enabled' } as const
  return {
    subscriptionId,
    changes: [
      put(subscriptions, subscriptionId, value, 0),
      ...administratorRoles(env, { tenantId, subscriptionId }, administratorIds),
    ],
  }
}

/** The rights of a cloud's administrators from its first start: everything in the first subscription, and making others. */
export function administratorRoles(
  env: Env,
  { tenantId, subscriptionId }: { readonly tenantId: string; readonly subscriptionId: string },
  administratorIds: readonly string[],
): Change[] {
  const data = { scope: `/subscriptions/${subscriptionId}`, roleDefinitionId: OPENAI_CONTRIBUTOR }
  return administratorIds.flatMap(principalId => [
    subscriptionOwner(env, { tenantId, subscriptionId, principalId }),
    assign(env, tenantId, { ...data, principalId }),
    tenantOwner(env, tenantId, principalId),
  ])
}

/** A subscription with its owner. */
export function newSubscription(
  env: Env,
  wanted: { readonly tenantId: string; readonly displayName: string; readonly ownerId: string },
): { subscriptionId: string; changes: Change[] } {
  const { tenantId, displayName, ownerId } = wanted
  const subscriptionId = env.uuid()
  const value = { subscriptionId, displayName, tenantId, state: 'Enabled' } as const
  return {
    subscriptionId,
    changes: [
      put(subscriptions, subscriptionId, value, 0),
      subscriptionOwner(env, { tenantId, subscriptionId, principalId: ownerId }),
    ],
  }
}

export function subscriptionOwner(
  env: Env,
  wanted: { readonly tenantId: string; readonly subscriptionId: string; readonly principalId: string },
): Change {
  const { tenantId, subscriptionId, principalId } = wanted
  return assign(env, tenantId, { scope: `/subscriptions/${subscriptionId}`, roleDefinitionId: OWNER, principalId })
}

/** Owner at the root scope: may make subscriptions in the tenant and reach all of them. */
export function tenantOwner(env: Env, tenantId: string, principalId: string): Change {
  return assign(env, tenantId, { scope: '/', roleDefinitionId: OWNER, principalId })
}

function assign(
  env: Env,
  tenantId: string,
  wanted: Pick<RoleAssignment, 'scope' | 'roleDefinitionId' | 'principalId'>,
): Change {
  const name = env.uuid()
  const value: RoleAssignment = { ...wanted, name, createdOn: new Date(env.now()).toISOString() }
  return put(roleAssignments, `${assignmentPrefix(wanted.scope, tenantId)}${name}`, value, 0)
}

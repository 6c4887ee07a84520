import { noteOperation } from '../audit/request-context.ts'
import { Forbidden, NotFound } from '../http/errors.ts'
import type { Caller } from '../http/route.ts'
import { put, type Change, type RecordStore } from '../store/records.ts'
import type { Env } from '../env.ts'
import { groupKey, groups, roleAssignments, subscriptions } from './records.ts'
import { checkSubscriptionId } from './resource-id.ts'
import type { ResourceManager } from './resource-manager.ts'
import { isAllowed, type RoleAssignment } from './roles.ts'

const OWNER = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635'
const OPENAI_CONTRIBUTOR = 'a001fd3d-188f-4b5d-821b-7da978bf7442'
/** More assignments than this in one cloud are refused at creation (Azure: 4,000 a subscription). */
const MAX_ASSIGNMENTS = 4000

/** Rules over subscriptions, groups and role assignments in a record store. */
export function openResourceManager(records: RecordStore): ResourceManager {
  const assignments = async (): Promise<RoleAssignment[]> =>
    (await records.list(roleAssignments, { limit: MAX_ASSIGNMENTS })).map(stored => stored.value)

  const subscription: ResourceManager['subscription'] = async subscriptionId => {
    const found = await records.get(subscriptions, checkSubscriptionId(subscriptionId))
    if (found !== undefined) return found.value
    throw new NotFound('SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`)
  }

  return {
    subscription,
    async authorize(caller, scope, action) {
      noteOperation({ operationName: action, resourceId: scope })
      const principal = principalOf(caller)
      if (isAllowed(await assignments(), principal.objectId, scope, action, 'management')) return
      throw new Forbidden(
        'AuthorizationFailed',
        `The client '${principal.appId}' with object id '${principal.objectId}' does not have authorization to perform action ` +
          `'${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
      )
    },
    async allowsData(caller, scope, dataAction) {
      if (caller.type !== 'principal') return false
      return isAllowed(await assignments(), caller.objectId, scope, dataAction, 'data')
    },
    async group(subscriptionId, name) {
      await subscription(subscriptionId)
      const found = await records.get(groups, groupKey(subscriptionId.toLowerCase(), name))
      if (found !== undefined) return found.value
      throw new NotFound('ResourceGroupNotFound', `Resource group '${name}' could not be found.`)
    },
  }
}

/** The first subscription of a new cloud, with its administrator as owner who may also use the data plane. */
export function firstSubscription(
  env: Env,
  tenantId: string,
  administratorIds: readonly string[],
): { subscriptionId: string; changes: Change[] } {
  const subscriptionId = env.uuid()
  const scope = `/subscriptions/${subscriptionId}`
  const assign = (roleDefinitionId: string, principalId: string): Change => {
    const name = env.uuid()
    const createdOn = new Date(env.now()).toISOString()
    return put(roleAssignments, name, { name, scope, roleDefinitionId, principalId, createdOn }, 0)
  }
  const value = { subscriptionId, displayName: 'OwnKey', tenantId, state: 'Enabled' } as const
  return {
    subscriptionId,
    changes: [
      put(subscriptions, subscriptionId, value, 0),
      ...administratorIds.flatMap(id => [assign(OWNER, id), assign(OPENAI_CONTRIBUTOR, id)]),
    ],
  }
}

function principalOf(caller: Caller): Extract<Caller, { type: 'principal' }> {
  if (caller.type === 'principal') return caller
  throw new Forbidden('AuthorizationFailed', 'Resource Manager takes only tokens of a principal, no API key.')
}

import { noteOperation } from '../audit/request-context.ts'
import { AzureError, Conflict, Forbidden, NotFound } from '../http/errors.ts'
import type { Caller } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { leaveOut, mustExist } from '../store/records.ts'
import type { RecordStore, Stored } from '../store/records.ts'
import { assignmentPrefix, groupKey, groups, roleAssignments, subscriptions } from './records.ts'
import { checkSubscriptionId, scopeKey } from './resource-id.ts'
import type { ResourceGroup, ResourceManager, Subscription } from './resource-manager.ts'
import { isAllowed, type RoleAssignment } from './roles.ts'

type PrincipalCaller = Extract<Caller, { type: 'principal' }>

/** As Azure: the most in one subscription; creating more is refused. */
export const MAX_ASSIGNMENTS = 4000

/** Actions that are possible in a cancelled subscription, besides reading. */
const IN_DISABLED = /\/(read|delete)$|^microsoft\.subscription\//i

/** Rules over subscriptions, groups and role assignments in a record store. */
export function openResourceManager(
  records: RecordStore,
  { authority }: { readonly authority?: (tenantId: string) => string } = {},
): ResourceManager {
  const assignments = async (scope: string, tenantId: string): Promise<RoleAssignment[]> => {
    const list = async (prefix: string): Promise<RoleAssignment[]> =>
      // A changed assignment gives nothing. There are no deny assignments, so the others of its subscription still hold.
      (await allRecords(records, roleAssignments, { prefix, onTampered: leaveOut })).map(stored => stored.value)
    const root = assignmentPrefix('/', tenantId)
    const own = assignmentPrefix(scope, tenantId)
    return own === root ? list(root) : [...(await list(own)), ...(await list(root))]
  }

  const { subscription, subscriptionOf, group, storedGroup } = lookups(records)
  return {
    subscription,
    group,
    async authorize(caller, scope, action) {
      noteOperation({ operationName: action, resourceId: scope })
      const principal = principalOf(caller)
      const inside = await subscriptionOf(scope)
      if (inside !== undefined && inside.tenantId !== principal.tenantId)
        throw wrongTenant(principal, inside, authority)
      const held = await assignments(scope, principal.tenantId)
      if (!isAllowed(held, principal.objectId, scope, action, 'management')) throw notAllowed(principal, scope, action)
      if (inside?.state === 'Disabled' && !IN_DISABLED.test(action)) throw readOnly(inside)
    },
    async rights(caller, subscriptionId) {
      const inside = await subscription(subscriptionId)
      const { tenantId, objectId } = principalOf(caller)
      if (tenantId !== inside.tenantId) throw wrongTenant(principalOf(caller), inside, authority)
      const held = await assignments(`/subscriptions/${subscriptionId}`, tenantId)
      const own = held.filter(({ principalId }) => principalId === objectId)
      return (scope, action) => isAllowed(own, objectId, scope, action, 'management')
    },
    async allowsData(caller, scope, dataAction) {
      if (caller.type !== 'principal') return false
      const inside = await subscriptionOf(scope)
      if (inside !== undefined && inside.tenantId !== caller.tenantId) return false
      return isAllowed(await assignments(scope, caller.tenantId), caller.objectId, scope, dataAction, 'data')
    },
    async groupForNew(subscriptionId, name) {
      const { id, version, value } = await storedGroup(subscriptionId, name)
      if (value.deleting === undefined) return { group: value, held: mustExist(groups, id, version) }
      throw new Conflict(
        'ResourceGroupBeingDeleted',
        `The resource group '${value.name}' is in deprovisioning state and cannot perform this operation. Wait until it is gone.`,
      )
    },
  }
}

function lookups(records: RecordStore) {
  const subscription: ResourceManager['subscription'] = async subscriptionId => {
    const found = await records.get(subscriptions, checkSubscriptionId(subscriptionId))
    if (found !== undefined) return found.value
    throw new NotFound('SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`)
  }
  const subscriptionOf = async (scope: string): Promise<Subscription | undefined> => {
    const id = /^\/subscriptions\/([^/]+)/.exec(scopeKey(scope))?.[1]
    return id === undefined ? undefined : subscription(id)
  }
  const storedGroup = async (subscriptionId: string, name: string): Promise<Stored<ResourceGroup>> => {
    const { subscriptionId: id } = await subscription(subscriptionId)
    const found = name.length > 90 ? undefined : await records.get(groups, groupKey(id, name))
    if (found !== undefined) return found
    throw new NotFound('ResourceGroupNotFound', `Resource group '${name.slice(0, 90)}' could not be found.`)
  }
  const group: ResourceManager['group'] = async (subscriptionId, name) =>
    (await storedGroup(subscriptionId, name)).value
  return { subscription, subscriptionOf, group, storedGroup }
}

function principalOf(caller: Caller): PrincipalCaller {
  if (caller.type === 'principal') return caller
  throw new Forbidden('AuthorizationFailed', 'Resource Manager takes only tokens of a principal, no API key.')
}

function notAllowed(principal: PrincipalCaller, scope: string, action: string): Forbidden {
  return new Forbidden(
    'AuthorizationFailed',
    `The client '${principal.appId}' with object id '${principal.objectId}' does not have authorization to perform action ` +
      `'${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  )
}

/** R32: after a move to another tenant, the old tenant's tokens end here. */
function wrongTenant(
  principal: PrincipalCaller,
  { tenantId }: Subscription,
  authority: ((tenantId: string) => string) | undefined,
): AzureError {
  const at = authority?.(tenantId)
  const message =
    `The access token is from the wrong issuer 'https://sts.windows.net/${principal.tenantId}/'. It must match the tenant ` +
    `'https://sts.windows.net/${tenantId}/' associated with this subscription. Log in to that tenant${at === undefined ? '' : ` at '${at}'`}.`
  const challenge = `Bearer authorization_uri="${at}", error="invalid_token", error_description="The access token is from the wrong tenant."`
  return new AzureError('InvalidAuthenticationTokenTenant', 401, message, {
    headers: at === undefined ? {} : { 'www-authenticate': challenge },
  })
}

function readOnly({ subscriptionId }: Subscription): Conflict {
  return new Conflict(
    'ReadOnlyDisabledSubscription',
    `The subscription '${subscriptionId}' is disabled and therefore marked as read only. You cannot perform any write ` +
      'actions on this subscription until it is re-enabled.',
  )
}

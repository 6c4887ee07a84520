import { assignmentsWithin } from '../arm/assignments-within.ts'
import type { GenericResource, Place, ResourceType } from '../arm/resource-manager.ts'
import { formatResourceId } from '../arm/resource-id.ts'
import { Conflict } from '../http/errors.ts'
import { put, remove, type Change, type Stored } from '../store/records.ts'
import { ACCOUNT_TYPE, accountKey, accountNames, accounts, type Account } from './account.ts'
import type { AccountLife } from './account-life.ts'
import type { AccountServices } from './accounts.ts'
import { accountsBeforeTenantChange } from './tenant-change.ts'

/** Accounts as Resource Manager lists, moves, tags and deletes them with their group. */
export function accountResourceType(services: AccountServices, life: AccountLife): ResourceType {
  const find = async ({ id }: GenericResource): Promise<Stored<Account> | undefined> => {
    const [, , subscriptionId = '', , group = '', , , , name = ''] = id.split('/')
    return services.accounts.find(subscriptionId, group, name)
  }
  return {
    type: ACCOUNT_TYPE,
    apiVersions: ['2025-09-01', '2025-06-01', '2024-10-01', '2023-05-01', '2022-12-01'],
    list: async (subscriptionId, group) =>
      (await services.accounts.list(subscriptionId, group)).map(({ value }) => shown(value)),
    async delete(resource, fence) {
      const found = await find(resource)
      if (found !== undefined) await life.delete(found, fence)
    },
    async move(resource, to) {
      const found = await find(resource)
      if (found === undefined)
        throw new Conflict('ResourceNotFound', `The account '${resource.name}' is not there any more.`)
      return moved(services, found, to)
    },
    beforeTenantChange: subscriptionId => accountsBeforeTenantChange(services, subscriptionId),
    async setTags(resource, tags) {
      const found = await find(resource)
      return found === undefined ? [] : [put(accounts, found.id, { ...found.value, tags }, found.version)]
    },
  }
}

/** Its data, host and identity stay. Role assignments at its old id don't move along, as on Azure. */
async function moved(services: AccountServices, stored: Stored<Account>, to: Place): Promise<Change[]> {
  const { records, identities } = services
  const { name, accountId, identity } = stored.value
  const held = await services.accounts.named(to.subscriptionId, to.group, name)
  if (held !== undefined) {
    const state = held.value.deleted === undefined ? 'an account' : 'a soft-deleted account'
    throw new Conflict('ResourceNameInUse', `The target group has ${state} of the name '${name}' already.`)
  }
  const id = formatResourceId({ ...to, type: ACCOUNT_TYPE, name })
  return [
    put(accounts, accountId, { ...stored.value, ...to, id }, stored.version),
    remove(accountNames, accountKey(stored.value.subscriptionId, stored.value.group, name)),
    put(accountNames, accountKey(to.subscriptionId, to.group, name), { accountId }, 0),
    ...(identity === undefined ? [] : await identities.rename(identity.principalId, id)),
    ...(await assignmentsWithin(records, stored.value.id)),
  ]
}

function shown({ id, name, location, tags, kind, sku, identity }: Account): GenericResource {
  return {
    id,
    name,
    type: ACCOUNT_TYPE,
    location,
    tags,
    kind,
    sku,
    ...(identity === undefined ? {} : { identity: { type: 'SystemAssigned', ...identity } }),
  }
}

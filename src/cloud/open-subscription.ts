import { firstSubscription } from '../arm/first-subscription.ts'
import { olderRoles } from '../arm/older-roles.ts'
import { subscriptions } from '../arm/records.ts'
import type { Entra } from '../entra/open-entra.ts'
import type { ModulesOptions } from './modules-options.ts'

/** The first start makes a subscription. A folder of an older version gets the role assignments of its administrators. @returns its id */
export async function openSubscription(
  { records, env, audit }: Pick<ModulesOptions, 'records' | 'env' | 'audit'>,
  entra: Entra,
): Promise<string> {
  const { administrator, administratorUser } = entra
  const administrators = [administrator.objectId, administratorUser.objectId]
  const [known] = await records.list(subscriptions, { limit: 1 })
  if (known === undefined) {
    const { subscriptionId, changes } = firstSubscription(env, administrator.tenantId, administrators)
    await records.commit(changes)
    return subscriptionId
  }
  const { subscriptionId, tenantId } = known.value
  const changes = await olderRoles(records, env, { subscriptionId, tenantId, administrators })
  const entry = {
    operationName: 'OwnKey/administrator/roles',
    category: 'AuditEvent',
    resultType: 'Success' as const,
    resultDescription: 'The role assignments of an older folder were brought to their present form',
    callerIpAddress: 'service',
    properties: { administrators },
  }
  if (changes.length > 0) await audit.append(entry, changes, { reserve: 'small' })
  return subscriptionId
}

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openResourceManager } from '../arm/open-resource-manager.ts'
import { groupKey, groups, subscriptions } from '../arm/records.ts'
import type { ResourceGroup, Subscription } from '../arm/resource-manager.ts'
import { systemEnv } from '../base/env.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, remove, type Change } from '../store/records.ts'
import { accounts } from './account.ts'
import type { AccountServices } from './accounts.ts'
import { createAccount } from './create-account.ts'

const subscriptionId = 'dddddddd-0000-4000-8000-000000000001'
const key = groupKey(subscriptionId, 'g')
const group = { id: `/subscriptions/${subscriptionId}/resourceGroups/g`, name: 'g', subscriptionId } as ResourceGroup

/** Creates an account, while this happens after the look at its group. Resolves to the number of accounts. */
async function createdWhile(meanwhile: Change): Promise<number> {
  const records = openMemoryRecords()
  await records.commit([
    put(subscriptions, subscriptionId, { subscriptionId } as Subscription),
    put(groups, key, group),
  ])
  let times = 0
  const services = {
    records,
    env: systemEnv,
    resourceManager: openResourceManager(records),
    audit: { append: (_: unknown, changes: readonly Change[] = []) => records.commit(changes) },
    keyRing: { create: async () => ((times += 1) === 1 ? records.commit([meanwhile]).then(() => []) : []) },
    identityKey: createSecretKey(randomBytes(32)),
    locations: ['eastus'],
  } as unknown as AccountServices
  await createAccount(services, { subscriptionId, group: 'g', name: 'name' }, { location: 'eastus' })
  return records.count(accounts)
}

test('an account is not made in a group that is deleted at the same moment', async () => {
  await assert.rejects(createdWhile(remove(groups, key)), { code: 'ResourceGroupNotFound' })
  const deleting = put(groups, key, { ...group, deleting: 'operation' })
  await assert.rejects(createdWhile(deleting), { code: 'ResourceGroupBeingDeleted' })
})

test('an account is made in a group that gets a tag at the same moment', async () => {
  assert.equal(await createdWhile(put(groups, key, { ...group, tags: { a: 'b' } })), 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditSink } from '../audit/audit-event.ts'
import { keyRows, type KeyRow } from '../encryption/key-ring-rows.ts'
import { systemEnv } from '../base/env.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { collection, mustExist, put, remove, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { AccountLife, type AccountLifeOptions } from './account-life.ts'
import { accountKey, accountNames, accounts, subdomains, type Account } from './account.ts'

const [subscriptionId, group, name] = ['s', 'g', 'name']
const key = accountKey(subscriptionId, group, name)
const deleted = { at: 0, purgeAt: 1 }

function accountOf(accountId: string): Account {
  const id = `/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/${name}`
  return { accountId, id, subscriptionId, group, name, subdomain: name, deleted } as Account
}

async function make(records: RecordStore, accountId: string): Promise<Stored<Account>> {
  const names = [put(accountNames, key, { accountId }), put(subdomains, name, { accountId })]
  await records.commit([put(accounts, accountId, accountOf(accountId)), ...names])
  return (await records.get(accounts, accountId)) as Stored<Account>
}

/** @param stop what ends jobs, which a purge waits for */
function lifeOver(
  records: RecordStore,
  clock: { now: number },
  stop = async () => {},
  destroy = async (): Promise<Change[]> => [],
): AccountLife {
  const audit: AuditSink = { append: (_, changes = [], options) => records.commit(changes, options) }
  const others = {
    keyRing: { destroy, forget: () => {} },
    keyStatuses: { change: () => ({ changes: [], settled: () => {} }) },
    blobs: {},
    running: {},
    dependents: { stop, collections: [] },
  } as unknown as AccountLifeOptions
  const env = { ...systemEnv, now: () => clock.now }
  return new AccountLife({ ...others, records, env, audit, leases: openLeases(records, () => clock.now) })
}

test('an account is not deleted with its group by a process that has lost the deletion of the group', async () => {
  const records = openMemoryRecords()
  const { deleted: _, ...live } = accountOf('later')
  await records.commit([put(accounts, 'later', live as Account)])
  const stored = (await records.get(accounts, 'later')) as Stored<Account>
  const lost = mustExist(collection('store.lease-fences'), 'lost')
  await assert.rejects(lifeOver(records, { now: 0 }).delete(stored, [lost]), { status: 409 })
  assert.deepEqual(await records.get(accounts, 'later'), stored)
})

test('R26: a data key that comes in while an account is purged is destroyed too', async () => {
  const records = openMemoryRecords()
  const stored = await make(records, 'a')
  const row = (generation: number): Change => put(keyRows, `a/active/${generation}`, { generation } as KeyRow)
  await records.commit([row(1)])
  const destroy = async (): Promise<Change[]> => {
    const rows = await records.list(keyRows, { limit: 10 })
    if (rows.length === 1 && rows[0]?.value.generation === 1) await records.commit([row(2)])
    return rows.map(({ id }) => remove(keyRows, id))
  }
  await lifeOver(records, { now: 1000 }, undefined, destroy).purge(stored)
  assert.deepEqual([await records.count(keyRows), await records.count(accounts)], [0, 0])
})

test('a purge that another process has ended takes no name from the account that has it now', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const [first, second] = [shared.open(), shared.open()]
  const clock = { now: 1000 }
  const stored = await make(first, 'old')
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const held = lifeOver(first, clock, () => (begun.resolve(), go.promise))
  const purge = held.purge(stored)
  await begun.promise
  clock.now += 60_000
  await lifeOver(second, clock).purge(stored)
  await make(second, 'new')
  go.resolve()
  await assert.rejects(purge)
  // One that was read before the former was gone.
  await lifeOver(second, clock).purge(stored)
  assert.deepEqual((await second.get(accountNames, key))?.value, { accountId: 'new' })
  assert.deepEqual((await second.get(subdomains, name))?.value, { accountId: 'new' })
})

test('an account that was restored after a purge was asked for is not purged', async () => {
  const records = openMemoryRecords()
  const stored = await make(records, 'kept')
  const { deleted: _, ...restored } = stored.value
  await records.commit([put(accounts, 'kept', restored)])
  await assert.rejects(lifeOver(records, { now: 1000 }).purge(stored), { code: 'AnotherOperationInProgress' })
  assert.deepEqual((await records.get(accounts, 'kept'))?.value, restored)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { firstSubscription } from '../../src/arm/first-subscription.ts'
import { groupKey, groups } from '../../src/arm/records.ts'
import { systemEnv } from '../../src/base/env.ts'
import { put } from '../../src/store/records.ts'
import { ADMIN, policy, startCloud, TENANT, USER, type Cloud, type Reply } from './cloud.fixture.ts'

const sku = { family: 'A', name: 'premium' }
let cloud: Cloud

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

const deletedPath = (name: string, location = 'eastus', subscription = cloud.subscription): string =>
  `/subscriptions/${subscription}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${name}`

const recover = (name: string, more: object = {}): Promise<Reply> => {
  const properties = { tenantId: TENANT, sku, createMode: 'recover', ...more }
  return cloud.arm('PUT', cloud.vaultId(name), { body: { location: 'eastus', properties } })
}

/** Another subscription of the tenant, with a group. */
async function secondSubscription(): Promise<string> {
  const { subscriptionId, changes } = firstSubscription(systemEnv, TENANT, [ADMIN])
  const id = `/subscriptions/${subscriptionId}/resourceGroups/rg`
  const group = { id, name: 'rg', subscriptionId, location: 'eastus', tags: {} }
  await cloud.records.commit([...changes, put(groups, groupKey(subscriptionId, 'rg'), group)])
  return subscriptionId
}

test('a name is taken in every subscription, by live vaults and by deleted ones, until they are purged', async () => {
  const second = await secondSubscription()
  const path = cloud.vaultId('kv-name').replace(cloud.subscription, second)
  const body = { location: 'eastus', properties: { tenantId: TENANT, sku, accessPolicies: [] } }
  const create = (): Promise<Reply> => cloud.arm('PUT', path.replace('kv-name', 'KV-Name'), { body })
  const check = async () => {
    const asked = { name: 'KV-name', type: 'Microsoft.KeyVault/vaults' }
    const at = `/subscriptions/${second}/providers/Microsoft.KeyVault/checkNameAvailability`
    return (await cloud.arm('POST', at, { body: asked })).body.nameAvailable
  }
  await cloud.vault('kv-name')
  assert.equal((await create()).body.error.code, 'VaultAlreadyExists')
  assert.equal(await check(), false)
  await cloud.arm('DELETE', cloud.vaultId('kv-name'))
  const taken = await create()
  assert.deepEqual([taken.status, taken.body.error.code], [409, 'ConflictError'])
  assert.match(taken.body.error.message, /^A vault with the same name already exists in deleted state\./)
  assert.equal(await check(), false)
  assert.equal((await cloud.arm('GET', deletedPath('kv-name', 'eastus', second))).status, 404)
  assert.equal((await cloud.arm('GET', deletedPath('kv-name', 'westeurope'))).status, 404)
  assert.equal((await cloud.arm('GET', deletedPath('KV-NAME', 'East%20US'))).status, 200)
  assert.equal((await cloud.arm('POST', `${deletedPath('kv-name')}/purge`)).status, 200)
  assert.equal(await check(), true)
  assert.equal((await create()).status, 201)
})

test('a recovered vault is as it was: policies, firewall, tags, protection, live and deleted keys with their dates · R21', async () => {
  const networkAcls = { defaultAction: 'Deny', bypass: 'None', ipRules: [{ value: '127.0.0.1' }] }
  const accessPolicies = [policy(ADMIN, 'all'), policy(USER, 'get')]
  await cloud.vault('kv-back', {
    accessPolicies,
    networkAcls,
    enablePurgeProtection: true,
    softDeleteRetentionInDays: 20,
  })
  await cloud.arm('PATCH', cloud.vaultId('kv-back'), { body: { tags: { team: 'a' } } })
  const keys = cloud.keys('kv-back')
  const live = await keys.createRsaKey('live')
  await keys.createEcKey('gone')
  await cloud.call('kv-back', 'DELETE', '/keys/gone')
  const gone = (await cloud.call('kv-back', 'GET', '/deletedkeys/gone')).body
  const { properties, tags } = (await cloud.arm('GET', cloud.vaultId('kv-back'))).body
  await cloud.arm('DELETE', cloud.vaultId('kv-back'))
  assert.equal((await cloud.call('kv-back', 'GET', '/keys/live')).body.error.code, 'VaultNotFound')
  // Policies and firewall in the recovery's body are ignored.
  assert.equal((await recover('kv-back', { accessPolicies: [], networkAcls: { defaultAction: 'Allow' } })).status, 200)
  const after = (await cloud.arm('GET', cloud.vaultId('kv-back'))).body
  assert.deepEqual([after.properties, after.tags], [properties, tags])
  assert.equal((await keys.getKey('live')).id, live.id)
  assert.deepEqual((await cloud.call('kv-back', 'GET', '/deletedkeys/gone')).body, gone)
  assert.equal((await cloud.call('kv-back', 'POST', '/deletedkeys/gone/recover')).status, 200)
})

test('a vault that is recovered and purged at the same time is either recovered or purged · R08', async () => {
  for (let round = 0; round < 8; round++) {
    const name = `kv-race-${round}`
    await cloud.vault(name)
    for (const key of ['a', 'b', 'c']) await cloud.call(name, 'POST', `/keys/${key}/create`, { body: { kty: 'EC' } })
    await cloud.arm('DELETE', cloud.vaultId(name))
    const purge = (): Promise<Reply> => cloud.arm('POST', `${deletedPath(name)}/purge`)
    const both = round % 2 === 0 ? [purge(), recover(name)] : [recover(name), purge()]
    const [one, other] = (await Promise.all(both)).map(({ status }) => status)
    assert.equal([one, other].filter(status => status === 200).length, 1, `${one} ${other}`)
    const { status, body } = await cloud.call(name, 'GET', '/keys')
    if (status === 200) assert.equal(body.value.length, 3)
    else assert.equal((await cloud.vault(name)).status, 201)
  }
})

test('a deleted vault cannot be changed, and its keys not be used, listed or deleted · R21', async () => {
  await cloud.vault('kv-still')
  await cloud.call('kv-still', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })
  await cloud.arm('DELETE', cloud.vaultId('kv-still'))
  const value = Buffer.alloc(32).toString('base64url')
  for (const [method, path, body] of [
    ['GET', '/keys'],
    ['GET', '/deletedkeys'],
    ['POST', '/keys/k/wrapkey', { alg: 'RSA-OAEP-256', value }],
    ['DELETE', '/keys/k'],
    ['DELETE', '/deletedkeys/k'],
  ] as const) {
    const reply = await cloud.call('kv-still', method, path, body === undefined ? {} : { body })
    assert.deepEqual([reply.status, reply.body.error.code], [404, 'VaultNotFound'], path)
  }
  const id = cloud.vaultId('kv-still')
  const body = { properties: { accessPolicies: [] } }
  for (const [method, path] of [
    ['GET', id],
    ['PATCH', id],
    ['PUT', `${id}/accessPolicies/add`],
  ] as const) {
    const sending = method === 'GET' ? {} : { body }
    assert.equal((await cloud.arm(method, path, sending)).body.error.code, 'ResourceNotFound', path)
  }
})

test('keys are purged at the end of their own retention period, also in a vault that was deleted meanwhile · R08', async () => {
  await cloud.vault('kv-away', { softDeleteRetentionInDays: 10 })
  await cloud.call('kv-away', 'POST', '/keys/k/create', { body: { kty: 'EC' } })
  await cloud.call('kv-away', 'DELETE', '/keys/k')
  await cloud.advance(5)
  await cloud.arm('DELETE', cloud.vaultId('kv-away'))
  await cloud.advance(9)
  assert.equal((await recover('kv-away')).status, 200)
  await cloud.advance(0)
  assert.equal((await cloud.call('kv-away', 'GET', '/deletedkeys/k')).status, 404)
  assert.equal((await cloud.call('kv-away', 'POST', '/keys/k/create', { body: { kty: 'EC' } })).status, 200)
})

test('soft delete and purge protection can not be turned off in any way · R08', async () => {
  await cloud.vault('kv-firm', { enablePurgeProtection: true, softDeleteRetentionInDays: 30 })
  const { body } = await cloud.arm('GET', cloud.vaultId('kv-firm'))
  const attempts = [
    { enablePurgeProtection: false },
    { enableSoftDelete: false },
    { softDeleteRetentionInDays: 7 },
    { softDeleteRetentionInDays: 90 },
  ]
  for (const properties of attempts) {
    assert.equal((await cloud.arm('PATCH', cloud.vaultId('kv-firm'), { body: { properties } })).status, 400)
    const whole = { ...body, properties: { ...body.properties, ...properties } }
    assert.equal((await cloud.arm('PUT', cloud.vaultId('kv-firm'), { body: whole })).status, 400)
  }
  // A PUT without them leaves them alone.
  const silent = { location: 'eastus', properties: { tenantId: TENANT, sku, accessPolicies: [] } }
  const { properties } = (await cloud.arm('PUT', cloud.vaultId('kv-firm'), { body: silent })).body
  assert.deepEqual(
    [properties.enablePurgeProtection, properties.enableSoftDelete, properties.softDeleteRetentionInDays],
    [true, true, 30],
  )
  for (const days of [0, 6, 91, -1, 7.5, '7']) {
    const { status } = await cloud.vault('kv-days', { softDeleteRetentionInDays: days })
    assert.equal(status, 400, String(days))
  }
  await cloud.arm('DELETE', cloud.vaultId('kv-firm'))
  await recover('kv-firm', { enablePurgeProtection: false, enableSoftDelete: false })
  await cloud.arm('DELETE', cloud.vaultId('kv-firm'))
  assert.equal((await cloud.arm('POST', `${deletedPath('kv-firm')}/purge`)).status, 405)
})

test('access policies that are too many or too large are refused', async () => {
  const many = Array.from({ length: 1025 }, (_, index) =>
    policy(`bbbbbbbb-0000-4000-9000-${String(index).padStart(12, '0')}`, 'get'),
  )
  const refused = await cloud.vault('kv-many', { accessPolicies: many })
  assert.equal(refused.status, 400)
  assert.match(refused.body.error.message, /at most 1024 access policies/)
  assert.equal((await cloud.vault('kv-many', { accessPolicies: many.slice(1) })).status, 201)
  const add = (id: string) =>
    cloud.arm('PUT', `${cloud.vaultId('kv-many')}/accessPolicies/add`, {
      body: { properties: { accessPolicies: [policy(id, 'list')] } },
    })
  assert.equal((await add(USER)).status, 400)
  assert.equal((await add('bbbbbbbb-0000-4000-9000-000000000007')).status, 200)
  const huge = await cloud.vault('kv-huge', { accessPolicies: [policy('x'.repeat(3_000_000), 'get')] })
  assert.equal(huge.status, 413)
})

test('policies that are added and removed at the same time are all kept or gone · R19', async () => {
  await cloud.vault('kv-crowd')
  const id = (n: number): string => `cccccccc-0000-4000-9000-${String(n).padStart(12, '0')}`
  const update = (kind: string, n: number): Promise<Reply> =>
    cloud.arm('PUT', `${cloud.vaultId('kv-crowd')}/accessPolicies/${kind}`, {
      body: { properties: { accessPolicies: [policy(id(n), 'get')] } },
    })
  const tag = (n: number): Promise<Reply> =>
    cloud.arm('PATCH', cloud.vaultId('kv-crowd'), { body: { tags: { [`t${n}`]: 'x' } } })
  const numbers = Array.from({ length: 30 }, (_, n) => n)
  const added = await Promise.all(numbers.flatMap(n => [update('add', n), tag(n)]))
  assert.deepEqual(new Set(added.map(({ status }) => status)), new Set([200]))
  const removed = numbers.filter(n => n % 2 === 0)
  await Promise.all(removed.flatMap(n => [update('remove', n), tag(n)]))
  const { properties } = (await cloud.arm('GET', cloud.vaultId('kv-crowd'))).body
  const left = properties.accessPolicies.map(({ objectId }: { objectId: string }) => objectId).sort()
  assert.deepEqual(left, [ADMIN, ...numbers.filter(n => n % 2 === 1).map(id)].sort())
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ADMIN, startCloud, TENANT, USER, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

const policy = (objectId: string, ...keys: string[]) => ({ tenantId: TENANT, objectId, permissions: { keys } })
const properties = { tenantId: TENANT, sku: { family: 'A', name: 'standard' as const }, enableRbacAuthorization: false }
const names = async (list: AsyncIterable<{ name?: string }>) => {
  const found = []
  for await (const one of list) found.push(one.name)
  return found
}

test('the official management client takes a vault through its whole life · R05 R08 R21', async () => {
  const { vaults } = cloud.management()
  const type = 'Microsoft.KeyVault/vaults'
  assert.equal((await vaults.checkNameAvailability({ name: 'kv-life', type })).nameAvailable, true)
  const accessPolicies = [policy(ADMIN, 'all')]
  const body = { location: 'East US', tags: { env: 'test' }, properties: { ...properties, accessPolicies } }
  const created = await vaults.createOrUpdate('rg', 'kv-life', body)
  assert.equal(created.properties.vaultUri, `${cloud.vaultUrl('kv-life')}/`)
  assert.equal(created.location, 'eastus')
  assert.equal((await vaults.checkNameAvailability({ name: 'kv-life', type })).reason, 'AlreadyExists')
  const patched = await vaults.update('rg', 'kv-life', {
    properties: { networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices', ipRules: [{ value: '127.0.0.1' }] } },
  })
  assert.deepEqual(patched.tags, { env: 'test' })
  assert.deepEqual(patched.properties.accessPolicies?.length, 1)
  assert.equal((await vaults.get('rg', 'kv-life')).properties.networkAcls?.defaultAction, 'Deny')
  for (const list of [vaults.listByResourceGroup('rg'), vaults.listBySubscription(), vaults.list()]) {
    assert.deepEqual(await names(list), ['kv-life'])
  }
  const { id } = await cloud.keys('kv-life').createRsaKey('k')
  await vaults.delete('rg', 'kv-life')
  assert.deepEqual(await names(vaults.listDeleted()), ['kv-life'])
  const deleted = await vaults.getDeleted('kv-life', 'eastus')
  assert.equal(deleted.properties?.vaultId, created.id)
  const days = (Number(deleted.properties?.scheduledPurgeDate) - Number(deleted.properties?.deletionDate)) / 86_400_000
  assert.equal(days, 90)
  const recover = { location: 'eastus', properties: { ...properties, createMode: 'recover' as const } }
  await vaults.createOrUpdate('rg', 'kv-life', recover)
  assert.equal((await cloud.keys('kv-life').getKey('k')).id, id)
  await vaults.delete('rg', 'kv-life')
  await vaults.purgeDeleted('kv-life', 'eastus')
  assert.deepEqual(await names(vaults.listDeleted()), [])
})

test('the official management client gives and takes permissions · R11 R19', async () => {
  const { vaults } = cloud.management()
  await vaults.createOrUpdate('rg', 'kv-grants', {
    location: 'eastus',
    properties: { ...properties, accessPolicies: [policy(ADMIN, 'all')] },
  })
  await cloud.keys('kv-grants').createRsaKey('k')
  const update = (kind: 'add' | 'remove', ...keys: string[]) =>
    vaults.updateAccessPolicy('rg', 'kv-grants', kind, { properties: { accessPolicies: [policy(USER, ...keys)] } })
  const { properties: after } = await update('add', 'get')
  assert.equal(after.accessPolicies.length, 2)
  assert.equal((await cloud.keys('kv-grants', USER).getKey('k')).name, 'k')
  await update('remove', 'get')
  await assert.rejects(cloud.keys('kv-grants', USER).getKey('k'), { statusCode: 403 })
})

test('refusals reach the official management client with their code and message', async () => {
  const { vaults } = cloud.management()
  await assert.rejects(vaults.get('rg', 'kv-nowhere'), { statusCode: 404, code: 'ResourceNotFound' })
  await assert.rejects(cloud.management(USER).vaults.get('rg', 'kv-grants'), {
    statusCode: 403,
    code: 'AuthorizationFailed',
  })
  const body = { location: 'mars', properties: { ...properties, accessPolicies: [] } }
  await assert.rejects(vaults.createOrUpdate('rg', 'kv-mars', body), {
    statusCode: 400,
    code: 'LocationNotAvailableForResourceType',
  })
})

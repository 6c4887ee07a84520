import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ADMIN, OTHER_TENANT, policy, startCloud, TENANT, USER, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

const sku = { family: 'A', name: 'standard' }

test('a PUT of a vault as it was read changes nothing', async () => {
  const created = await cloud.vault('kv-roundtrip', { enablePurgeProtection: true })
  assert.equal(created.status, 201)
  const { body } = await cloud.arm('GET', cloud.vaultId('kv-roundtrip'))
  assert.equal(body.properties.vaultUri, `${cloud.vaultUrl('kv-roundtrip')}/`)
  assert.equal(body.properties.provisioningState, 'Succeeded')
  const again = await cloud.arm('PUT', cloud.vaultId('kv-roundtrip'), { body })
  assert.equal(again.status, 200)
  assert.deepEqual(again.body.properties, body.properties)
})

test('purge protection is shown only when it is on, and can never be turned off · R08', async () => {
  const { body } = await cloud.vault('kv-purge')
  assert.equal('enablePurgeProtection' in body.properties, false)
  const patch = (properties: object) => cloud.arm('PATCH', cloud.vaultId('kv-purge'), { body: { properties } })
  const refused = await patch({ enablePurgeProtection: false })
  assert.equal(refused.status, 400)
  assert.equal(
    refused.body.error.message,
    'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.',
  )
  assert.equal((await patch({ enablePurgeProtection: true })).body.properties.enablePurgeProtection, true)
  assert.equal((await patch({ tags: {} })).body.properties.enablePurgeProtection, true)
})

test('soft delete cannot be turned off and the retention period is given once · R08', async () => {
  await cloud.vault('kv-soft', { softDeleteRetentionInDays: 10 })
  const patch = (properties: object) => cloud.arm('PATCH', cloud.vaultId('kv-soft'), { body: { properties } })
  assert.match((await patch({ enableSoftDelete: false })).body.error.message, /irreversible action/)
  assert.match((await patch({ softDeleteRetentionInDays: 20 })).body.error.message, /can't be modified/)
  assert.equal((await patch({ softDeleteRetentionInDays: 10 })).status, 200)
  assert.equal((await cloud.vault('kv-short', { softDeleteRetentionInDays: 6 })).status, 400)
})

test('vaults are in RBAC mode by default since api-version 2026-02-01 · R10', async () => {
  const properties = { tenantId: TENANT, sku, accessPolicies: [] }
  const body = { location: 'eastus', properties }
  const newer = await cloud.arm('PUT', cloud.vaultId('kv-newer'), { body, version: '2026-02-01' })
  assert.equal(newer.body.properties.enableRbacAuthorization, true)
  const older = await cloud.arm('PUT', cloud.vaultId('kv-older'), { body, version: '2022-07-01' })
  assert.equal(older.body.properties.enableRbacAuthorization, false)
  const updated = await cloud.arm('PUT', cloud.vaultId('kv-older'), { body, version: '2026-02-01' })
  assert.equal(updated.body.properties.enableRbacAuthorization, false)
})

test('a vault is deleted and recovered with its keys · R21', async () => {
  await cloud.vault('kv-gone')
  const { id } = await cloud.keys('kv-gone').createRsaKey('k')
  assert.equal((await cloud.arm('DELETE', cloud.vaultId('kv-gone'))).status, 200)
  assert.equal((await cloud.arm('DELETE', cloud.vaultId('kv-gone'))).status, 204)
  assert.equal((await cloud.call('kv-gone', 'GET', '/keys/k')).status, 404)
  const taken = await cloud.vault('kv-gone')
  assert.equal(taken.status, 409)
  assert.match(taken.body.error.message, /already exists in deleted state/)
  const deletedPath = `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/kv-gone`
  const deleted = await cloud.arm('GET', deletedPath)
  assert.equal(deleted.body.properties.vaultId, cloud.vaultId('kv-gone'))
  const listed = await cloud.arm(
    'GET',
    `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/deletedVaults`,
  )
  assert.deepEqual(
    listed.body.value.map(({ name }: { name: string }) => name),
    ['kv-gone'],
  )
  const body = { location: 'eastus', properties: { tenantId: TENANT, sku, createMode: 'recover' } }
  assert.equal((await cloud.arm('PUT', cloud.vaultId('kv-gone'), { body })).status, 200)
  assert.equal((await cloud.keys('kv-gone').getKey('k')).id, id)
})

test('purging a vault frees its name and destroys its key material · R08', async () => {
  const purge = (name: string) =>
    cloud.arm(
      'POST',
      `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/${name}/purge`,
    )
  await cloud.vault('kv-purged')
  await cloud.keys('kv-purged').createRsaKey('k')
  await cloud.arm('DELETE', cloud.vaultId('kv-purged'))
  const before = await cloud.records.count({ name: 'keyvault.key-material' })
  assert.equal((await purge('kv-purged')).status, 200)
  assert.equal(await cloud.records.count({ name: 'keyvault.key-material' }), before - 1)
  assert.equal((await cloud.vault('kv-purged')).status, 201)
  assert.equal((await cloud.call('kv-purged', 'GET', '/keys/k')).body.error.code, 'KeyNotFound')
  await cloud.vault('kv-kept', { enablePurgeProtection: true })
  await cloud.arm('DELETE', cloud.vaultId('kv-kept'))
  const refused = await purge('kv-kept')
  assert.equal(refused.status, 405)
  assert.match(refused.body.error.message, /^Operation 'DeletedVaultPurge' is not allowed\./)
})

test('purge protection holds for keys too · R08', async () => {
  await cloud.vault('kv-protected', { enablePurgeProtection: true, softDeleteRetentionInDays: 7 })
  const keys = cloud.keys('kv-protected')
  const key = await keys.createRsaKey('k')
  assert.equal(key.properties.recoveryLevel, 'CustomizedRecoverable')
  await cloud.call('kv-protected', 'DELETE', '/keys/k')
  const refused = await cloud.call('kv-protected', 'DELETE', '/deletedkeys/k')
  assert.equal(refused.status, 403)
  assert.match(refused.body.error.message, /^Operation "purge" is not allowed because purge protection is enabled/)
  await cloud.advance(6)
  assert.equal((await cloud.call('kv-protected', 'GET', '/deletedkeys/k')).status, 200)
  await cloud.advance(1)
  assert.equal((await cloud.call('kv-protected', 'GET', '/deletedkeys/k')).status, 404)
  assert.equal((await cloud.auditEntries('KeyPurge')).at(-1)?.callerIpAddress, 'service')
})

test('a deleted vault is purged by itself after 91 days', async () => {
  await cloud.vault('kv-ninety', { enablePurgeProtection: true })
  await cloud.arm('DELETE', cloud.vaultId('kv-ninety'))
  await cloud.advance(91)
  assert.equal((await cloud.vault('kv-ninety')).status, 201)
})

test('rotation by policy: after 91 days of a 30-day policy there are four versions', async () => {
  await cloud.vault('kv-rotate')
  const keys = cloud.keys('kv-rotate')
  await keys.createRsaKey('k')
  await keys.updateKeyRotationPolicy('k', {
    expiresIn: 'P90D',
    lifetimeActions: [
      { action: 'Rotate', timeAfterCreate: 'P30D' },
      { action: 'Notify', timeBeforeExpiry: 'P30D' },
    ],
  })
  const read = await keys.getKeyRotationPolicy('k')
  assert.equal(read.expiresIn, 'P90D')
  assert.equal(read.lifetimeActions?.length, 2)
  await cloud.advance(91)
  const versions = []
  for await (const version of keys.listPropertiesOfKeyVersions('k')) versions.push(version)
  assert.equal(versions.length, 4)
  assert.equal((await cloud.auditEntries('KeyRotateIfDue')).length, 3)
})

test('rotation policies have Azure`s limits', async () => {
  await cloud.vault('kv-policy')
  await cloud.keys('kv-policy').createEcKey('k')
  const set = (body: object) => cloud.call('kv-policy', 'PUT', '/keys/k/rotationpolicy', { body })
  const rotate = { trigger: { timeAfterCreate: 'P30D' }, action: { type: 'Rotate' } }
  const notify = { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } }
  for (const bad of [
    { attributes: { expiryTime: 'P27D' } },
    { attributes: { expiryTime: 'soon' } },
    { lifetimeActions: [rotate, rotate] },
    { lifetimeActions: [rotate, notify, notify] },
    { lifetimeActions: [{ ...rotate, trigger: { timeAfterCreate: 'P6D' } }] },
    { lifetimeActions: [{ ...rotate, trigger: { timeBeforeExpiry: 'P30D' } }] },
    { lifetimeActions: [{ ...rotate, trigger: {} }] },
    { lifetimeActions: [{ ...rotate, action: { type: 'Explode' } }] },
  ]) {
    const { status, body } = await set(bad)
    assert.equal(status, 400, JSON.stringify(bad))
    assert.equal(body.error.code, 'BadParameter')
  }
  const { body } = await cloud.call('kv-policy', 'GET', '/keys/k/rotationpolicy')
  assert.deepEqual(body.lifetimeActions, [notify])
})

test('a vault or key that is not deleted cannot be recovered', async () => {
  await cloud.vault('kv-alive')
  const body = { location: 'eastus', properties: { tenantId: TENANT, sku, createMode: 'recover' } }
  for (const name of ['kv-alive', 'kv-never']) {
    const { status, body: answer } = await cloud.arm('PUT', cloud.vaultId(name), { body })
    assert.equal(status, 400)
    assert.equal(answer.error.code, 'SoftDeletedVaultDoesNotExist')
    assert.match(
      answer.error.message,
      /^A soft deleted vault with the given name does not exist\. Ensure that the name /,
    )
  }
})

test("a vault is made for the tenant of its subscription, and changed to another's never · R07", async () => {
  const properties = { tenantId: OTHER_TENANT, sku, accessPolicies: [] }
  const created = await cloud.arm('PUT', cloud.vaultId('kv-abroad'), { body: { location: 'eastus', properties } })
  assert.equal(created.status, 400)
  assert.match(created.body.error.message, /^An invalid value was provided for 'tenantId'\./)
  assert.equal(created.body.error.target, 'properties.tenantId')
  await cloud.vault('kv-home')
  const body = { properties: { tenantId: OTHER_TENANT, accessPolicies: [] } }
  assert.equal((await cloud.arm('PATCH', cloud.vaultId('kv-home'), { body })).status, 400)
  assert.equal((await cloud.arm('GET', cloud.vaultId('kv-home'))).body.properties.tenantId, TENANT)
})

test('names are global and checked', async () => {
  const check = (name: string) =>
    cloud.arm('POST', `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/checkNameAvailability`, {
      body: { name, type: 'Microsoft.KeyVault/vaults' },
    })
  assert.deepEqual((await check('kv-free')).body, { nameAvailable: true })
  await cloud.vault('kv-taken')
  assert.equal((await check('KV-Taken')).body.reason, 'AlreadyExists')
  for (const name of ['ab', '1abc', 'a--b', 'abc-', 'a'.repeat(25), 'a_b']) {
    assert.equal((await check(name)).body.reason, 'AccountNameInvalid', name)
  }
  const body = { location: 'eastus', properties: { tenantId: TENANT, sku, accessPolicies: [] } }
  assert.equal((await cloud.arm('PUT', cloud.vaultId('a--b'), { body })).body.error.code, 'VaultNameNotValid')
})

test('lists hold the live vaults of a group and of the subscription', async () => {
  await cloud.vault('kv-listed')
  const group = `/subscriptions/${cloud.subscription}/resourceGroups/RG/providers/Microsoft.KeyVault/vaults`
  const inGroup = await cloud.arm('GET', group)
  assert.ok(inGroup.body.value.some(({ name }: { name: string }) => name === 'kv-listed'))
  const all = await cloud.arm('GET', `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/vaults`)
  assert.equal(all.body.value.length, inGroup.body.value.length)
  assert.equal((await cloud.keyVault.resourceType.list(cloud.subscription, 'rg')).length, inGroup.body.value.length)
})

test('lists of vaults come in pages that the official client follows', async () => {
  const group = `/subscriptions/${cloud.subscription}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults`
  const all = (await cloud.arm('GET', group)).body.value.map(({ name }: { name: string }) => name)
  assert.ok(all.length > 5)
  const first = await cloud.arm('GET', `${group}?$top=2`)
  assert.equal(first.body.value.length, 2)
  assert.match(first.body.nextLink, /skiptoken=/)
  const { vaults } = cloud.management()
  const lists = [vaults.listByResourceGroup('rg', { top: 2 }), vaults.listBySubscription({ top: 3 })]
  for (const list of lists) {
    const names = []
    for await (const { name } of list) names.push(name)
    assert.deepEqual(names, all)
  }
  for (const top of ['0', '-1', 'x']) assert.equal((await cloud.arm('GET', `${group}?$top=${top}`)).status, 400)
})

test('without a role nobody manages a vault, whatever its access policies say', async () => {
  await cloud.vault('kv-roles', { accessPolicies: [policy(USER, 'all')] })
  for (const method of ['GET', 'DELETE']) {
    const { status, body } = await cloud.arm(method, cloud.vaultId('kv-roles'), { as: USER })
    assert.equal(status, 403)
    assert.equal(body.error.code, 'AuthorizationFailed')
  }
})

test('access policies are updated identity by identity, and changes are in the audit log · R19', async () => {
  await cloud.vault('kv-policies')
  const update = async (kind: string, ...keys: string[]) => {
    const body = { properties: { accessPolicies: [policy(USER, ...keys)] } }
    const reply = await cloud.arm('PUT', `${cloud.vaultId('kv-policies')}/accessPolicies/${kind}`, { body })
    assert.equal(reply.status, 200)
    const own = reply.body.properties.accessPolicies.find((one: { objectId: string }) => one.objectId === USER)
    return own?.permissions.keys
  }
  assert.deepEqual(await update('add', 'get', 'WRAPKEY'), ['get', 'wrapKey'])
  assert.deepEqual(await update('add', 'unwrapKey'), ['get', 'wrapKey', 'unwrapKey'])
  assert.deepEqual(await update('remove', 'get'), ['wrapKey', 'unwrapKey'])
  assert.deepEqual(await update('replace', 'list'), ['list'])
  assert.equal(await update('remove', 'list'), undefined)
  assert.equal((await cloud.auditEntries('VaultAccessPolicyChangedEventGridNotification')).length, 5)
  const { body } = await cloud.arm('GET', cloud.vaultId('kv-policies'))
  assert.deepEqual(
    body.properties.accessPolicies.map(({ objectId }: { objectId: string }) => objectId),
    [ADMIN],
  )
})

test('bad bodies are refused with the field that does not fit', async () => {
  for (const [properties, target] of [
    [{ tenantId: 'x' }, 'properties.tenantId'],
    [{ sku: { family: 'A', name: 'gold' } }, 'properties.sku.name'],
    [{ accessPolicies: [policy(USER, 'fly')] }, 'properties.accessPolicies.0.permissions.keys.0'],
    [{ networkAcls: { ipRules: [{ value: '1.2.3.4/99' }] } }, 'properties.networkAcls.ipRules'],
    [{ networkAcls: { defaultAction: 'Maybe' } }, 'properties.networkAcls.defaultAction'],
  ] as const) {
    const { status, body } = await cloud.vault('kv-bad', properties)
    assert.equal(status, 400)
    assert.equal(body.error.target, target)
  }
  assert.equal(
    (await cloud.arm('GET', cloud.vaultId('kv'), { version: '1999-01-01' })).body.error.code,
    'InvalidApiVersionParameter',
  )
  assert.equal(
    (await cloud.arm('GET', cloud.vaultId('kv'), { version: '2021-01-01' })).body.error.code,
    'NoRegisteredProviderFound',
  )
})

test('in a vault made without soft delete, deleted keys are gone at once · R08', async () => {
  await cloud.vault('kv-hard', { enableSoftDelete: false })
  const keys = cloud.keys('kv-hard')
  assert.equal((await keys.createRsaKey('k')).properties.recoveryLevel, 'Purgeable')
  assert.equal((await cloud.call('kv-hard', 'DELETE', '/keys/k')).status, 200)
  assert.equal((await cloud.call('kv-hard', 'GET', '/deletedkeys/k')).status, 404)
  await keys.createRsaKey('k')
  const before = await cloud.records.count({ name: 'keyvault.key-material' })
  await cloud.arm('DELETE', cloud.vaultId('kv-hard'))
  assert.equal(await cloud.records.count({ name: 'keyvault.key-material' }), before - 1)
  assert.equal((await cloud.vault('kv-hard', { enableSoftDelete: false, enablePurgeProtection: true })).status, 400)
  assert.equal((await cloud.vault('kv-hard')).status, 201)
})

test('a vault takes as many access policies as on Azure · R19', async () => {
  await cloud.vault('kv-many')
  const ids = Array.from({ length: 1000 }, (_, n) => `bbbbbbbb-0000-4000-9000-${String(n).padStart(12, '0')}`)
  const accessPolicies = [policy(ADMIN, 'all'), ...ids.map(id => policy(id, 'get', 'wrapKey', 'unwrapKey'))]
  const path = cloud.vaultId('kv-many')
  const noted = async () =>
    (await cloud.auditEntries('VaultAccessPolicyChangedEventGridNotification'))
      .filter(({ resourceId }) => resourceId === path.toUpperCase())
      .map(({ properties }) => properties as { accessPolicies: { objectId: string }[]; removed?: string[] })
  const { status, body } = await cloud.arm('PATCH', path, { body: { properties: { accessPolicies } } })
  assert.equal(status, 200, JSON.stringify(body))
  const all = (await noted()).flatMap(one => one.accessPolicies.map(({ objectId }) => objectId))
  assert.deepEqual(new Set(ids.filter(id => !all.includes(id))), new Set())
  const before = (await noted()).length
  const [gone = ''] = ids
  await cloud.arm('PUT', `${path}/accessPolicies/remove`, {
    body: { properties: { accessPolicies: [policy(gone, 'get', 'wrapKey', 'unwrapKey')] } },
  })
  assert.deepEqual(
    (await noted()).slice(before).flatMap(({ removed }) => removed),
    [gone],
  )
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { roleAssignments } from '../../src/arm/records.ts'
import { put } from '../../src/store/records.ts'
import { ADMIN, policy, startCloud, TENANT, USER, type Cloud, type Reply } from './cloud.fixture.ts'

const CONTRIBUTOR = 'b24988ac-6180-42a0-ab88-20f7382dd24c'
const KEY_VAULT_CONTRIBUTOR = 'f25e0fa2-a7c8-4377-a976-54943a77a395'
const USER_ACCESS_ADMINISTRATOR = '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9'
const sku = { family: 'A', name: 'standard' }

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

const assign = (...roles: string[]): Promise<unknown> =>
  cloud.records.commit(
    [CONTRIBUTOR, KEY_VAULT_CONTRIBUTOR, USER_ACCESS_ADMINISTRATOR].map((role, index) => {
      const name = `role-${index}`
      const principalId = roles.includes(role) ? USER : 'bbbbbbbb-0000-4000-8000-00000000ffff'
      const scope = `/subscriptions/${cloud.subscription}`
      const assignment = { name, scope, roleDefinitionId: role, principalId, createdOn: '' }
      return put(roleAssignments, `${cloud.subscription}/${name}`, assignment)
    }),
  )

const patch = (name: string, properties: object): Promise<Reply> =>
  cloud.arm('PATCH', cloud.vaultId(name), { as: USER, body: { properties } })

test('a caller who manages a vault but can not assign roles can not switch its permission model · R10', async () => {
  await cloud.vault('kv-rbac', { enableRbacAuthorization: true })
  await cloud.vault('kv-policies')
  for (const role of [CONTRIBUTOR, KEY_VAULT_CONTRIBUTOR]) {
    await assign(role)
    for (const [name, enableRbacAuthorization] of [
      ['kv-rbac', false],
      ['kv-policies', true],
    ] as const) {
      const grant = { enableRbacAuthorization, accessPolicies: [policy(USER, 'all')] }
      const whole = { location: 'eastus', properties: { tenantId: TENANT, sku, ...grant } }
      const putBack = await cloud.arm('PUT', cloud.vaultId(name), { as: USER, body: whole })
      for (const { status, body } of [await patch(name, grant), putBack]) {
        assert.equal(status, 400)
        assert.equal(body.error.code, 'InsufficientPermissions')
        assert.match(
          body.error.message,
          new RegExp(
            `^Caller is not allowed to change permission model\\..*oid=${USER}; action=Microsoft\\.Authorization/roleAssignments/write; resource=.*/vaults/${name}; decision=NotAllowed`,
            'i',
          ),
        )
      }
      assert.equal((await patch(name, { enableRbacAuthorization: !enableRbacAuthorization })).status, 200)
    }
    assert.equal((await cloud.call('kv-rbac', 'GET', '/keys', { as: USER })).status, 403)
  }
  const [refused] = (await cloud.auditEntries('VaultPatch')).filter(({ resultType }) => resultType === 'Failed')
  assert.equal(refused?.resultSignature, 'BadRequest')
})

test('a caller who manages the vault and can assign roles switches its permission model · R10', async () => {
  await cloud.vault('kv-switched')
  await assign(CONTRIBUTOR, USER_ACCESS_ADMINISTRATOR)
  const there = await patch('kv-switched', { enableRbacAuthorization: true })
  assert.equal(there.body.properties.enableRbacAuthorization, true, JSON.stringify(there.body))
  assert.equal((await patch('kv-switched', { enableRbacAuthorization: false })).status, 200)
  const owner = { as: ADMIN, body: { properties: { enableRbacAuthorization: true } } }
  assert.equal((await cloud.arm('PATCH', cloud.vaultId('kv-switched'), owner)).status, 200)
})

test('a Key Vault Contributor deletes and recovers vaults, but does not purge them', async () => {
  await cloud.vault('kv-managed')
  const deleted = `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults`
  await assign(KEY_VAULT_CONTRIBUTOR)
  const send = (method: string, path: string, body?: object): Promise<Reply> =>
    cloud.arm(method, path, { as: USER, ...(body === undefined ? {} : { body }) })
  assert.equal((await send('DELETE', cloud.vaultId('kv-managed'))).status, 200)
  assert.equal((await send('GET', `${deleted}/kv-managed`)).status, 200)
  const purge = await send('POST', `${deleted}/kv-managed/purge`)
  assert.equal(purge.status, 403)
  assert.equal(purge.body.error.code, 'AuthorizationFailed')
  const recover = { location: 'eastus', properties: { tenantId: TENANT, sku, createMode: 'recover' } }
  assert.equal((await send('PUT', cloud.vaultId('kv-managed'), recover)).status, 200)
  await assign(USER_ACCESS_ADMINISTRATOR)
  assert.equal((await send('GET', cloud.vaultId('kv-managed'))).status, 200)
  assert.equal((await send('DELETE', cloud.vaultId('kv-managed'))).status, 403)
})

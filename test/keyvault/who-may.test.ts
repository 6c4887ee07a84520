import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { roleAssignments } from '../../src/arm/records.ts'
import { ask } from '../../src/http/listening.fixture.ts'
import { put } from '../../src/store/records.ts'
import { ADMIN, policy, startCloud, TENANT, USER, type Cloud, type Reply } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

const value = Buffer.alloc(32, 1).toString('base64url')
const wrap = { alg: 'RSA-OAEP-256', value }

/** Every permission on keys with a call that needs it, with bodies that give no 403 for another reason. */
const CALLS: Readonly<Record<string, readonly [string, string, object?]>> = {
  create: ['POST', '/keys/made/create', { kty: 'EC' }],
  import: ['PUT', '/keys/made', { key: { kty: 'EC' } }],
  get: ['GET', '/keys/k'],
  list: ['GET', '/keys'],
  update: ['PATCH', '/keys/k', { tags: {} }],
  delete: ['DELETE', '/keys/none'],
  recover: ['POST', '/deletedkeys/none/recover'],
  purge: ['DELETE', '/deletedkeys/none'],
  backup: ['POST', '/keys/k/backup'],
  restore: ['POST', '/keys/restore', { value: 'AAAA' }],
  rotate: ['POST', '/keys/none/rotate'],
  getrotationpolicy: ['GET', '/keys/k/rotationpolicy'],
  setrotationpolicy: ['PUT', '/keys/none/rotationpolicy', {}],
  encrypt: ['POST', '/keys/k/encrypt', wrap],
  decrypt: ['POST', '/keys/k/decrypt', wrap],
  wrapKey: ['POST', '/keys/k/wrapkey', wrap],
  unwrapKey: ['POST', '/keys/k/unwrapkey', wrap],
  sign: ['POST', '/keys/k/sign', { alg: 'RS256', value }],
  verify: ['POST', '/keys/k/verify', { alg: 'RS256', digest: value, value }],
  release: ['POST', '/keys/k/release', {}],
}

function call(vault: string, permission: string, as: string): Promise<Reply> {
  const [method, path, body] = CALLS[permission] ?? ['GET', '/']
  return cloud.call(vault, method, path, { as, ...(body === undefined ? {} : { body }) })
}

async function allowed(vault: string, as: string): Promise<string[]> {
  const found = []
  for (const permission of Object.keys(CALLS)) {
    if ((await call(vault, permission, as)).status !== 403) found.push(permission)
  }
  return found.sort()
}

const words = (text: string): string[] => text.split(' ').sort()

test('each operation is opened by its own permission of an access policy, and by no other · R10 R11', async () => {
  await cloud.vault('kv-main')
  await cloud.call('kv-main', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })
  const grant = (...keys: string[]) =>
    cloud.arm('PUT', `${cloud.vaultId('kv-main')}/accessPolicies/replace`, {
      body: { properties: { accessPolicies: [policy(USER, ...keys)] } },
    })
  assert.deepEqual(await allowed('kv-main', USER), [])
  for (const permission of Object.keys(CALLS)) {
    await grant(permission)
    assert.deepEqual(await allowed('kv-main', USER), [permission], permission)
  }
  await grant('all')
  assert.deepEqual(await allowed('kv-main', USER), Object.keys(CALLS).sort())
})

test('in RBAC mode each role allows the same as on Azure, at the vault and above it · R10', async () => {
  await cloud.vault('kv-roles', { enableRbacAuthorization: true, accessPolicies: [policy(USER, 'all')] })
  const assign = (principalId: string, roleDefinitionId: string, scope: string) =>
    cloud.records.commit([
      put(roleAssignments, `${cloud.subscription}/one`, {
        name: 'one',
        scope,
        roleDefinitionId,
        principalId,
        createdOn: '',
      }),
    ])
  const vault = cloud.vaultId('kv-roles')
  const officer = '14b46e9e-c2b7-41b4-b07b-48a6ebf60603'
  await assign(ADMIN, officer, vault)
  assert.equal((await cloud.call('kv-roles', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })).status, 200)
  const everything = Object.keys(CALLS).sort()
  const crypto = 'get list update backup encrypt decrypt wrapKey unwrapKey sign verify'
  const roles: readonly (readonly [string, string, readonly string[]])[] = [
    ['Key Vault Crypto Officer', officer, everything],
    ['Key Vault Administrator', '00482a5a-887f-4fb3-b363-3b7fe8e74483', everything],
    ['Key Vault Crypto User', '12338af0-0e69-4776-bea7-57ae8d297424', words(crypto)],
    [
      'Key Vault Crypto Service Encryption User',
      'e147488a-f6f5-4113-8e2d-b22465e65bf6',
      words('get list wrapKey unwrapKey'),
    ],
    ['Key Vault Reader', '21090545-7ca7-4776-b22c-e363652d74d2', words('get list getrotationpolicy')],
    ['Owner', '8e3af657-a8ff-443c-a75c-2fe8c4bcb635', []],
  ]
  for (const scope of [
    vault,
    `/subscriptions/${cloud.subscription}/resourceGroups/RG`,
    `/subscriptions/${cloud.subscription}`,
  ]) {
    for (const [name, id, permissions] of roles) {
      await assign(USER, id, scope)
      assert.deepEqual(await allowed('kv-roles', USER), permissions, `${name} at ${scope}`)
    }
  }
  await assign(USER, officer, cloud.vaultId('kv-other'))
  assert.deepEqual(await allowed('kv-roles', USER), [])
  await assign(USER, officer, `${vault}/keys/k`)
  assert.equal((await call('kv-roles', 'get', USER)).status, 200)
  assert.equal((await cloud.call('kv-roles', 'GET', '/keys/another', { as: USER })).status, 403)
})

test('a compound identity opens nothing unless its application calls', async () => {
  const compound = (applicationId: string) => ({ ...policy(USER, 'get'), applicationId })
  const stranger = 'cccccccc-0000-4000-8000-000000000001'
  await cloud.vault('kv-compound', { accessPolicies: [policy(ADMIN, 'all'), compound(stranger)] })
  await cloud.call('kv-compound', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })
  assert.deepEqual(await allowed('kv-compound', USER), [])
  const update = (kind: string, ...accessPolicies: object[]) =>
    cloud.arm('PUT', `${cloud.vaultId('kv-compound')}/accessPolicies/${kind}`, {
      body: { properties: { accessPolicies } },
    })
  await update('add', policy(USER, 'list'))
  assert.deepEqual(await allowed('kv-compound', USER), ['list'])
  await update('remove', policy(USER, 'list'))
  const left = (await cloud.arm('GET', cloud.vaultId('kv-compound'))).body.properties.accessPolicies
  assert.deepEqual(
    left.map(({ applicationId }: { applicationId?: string }) => applicationId),
    [undefined, stranger],
  )
})

test('the firewall takes IPv6 addresses and ranges, and ignores headers · R09', async () => {
  await cloud.vault('kv-six')
  const setRules = (...values: string[]) =>
    cloud.arm('PATCH', cloud.vaultId('kv-six'), {
      body: {
        properties: {
          networkAcls: { defaultAction: 'Deny', bypass: 'None', ipRules: values.map(one => ({ value: one })) },
        },
      },
    })
  const get = async (family: 4 | 6): Promise<{ status: number; message: string }> => {
    const host = 'kv-six.vault.localhost'
    const { status, body } = await ask(cloud.server, {
      host,
      family,
      path: '/keys?api-version=7.6',
      headers: {
        host: `${host}:${cloud.port}`,
        authorization: `Bearer ${await cloud.token(ADMIN)}`,
        'x-forwarded-for': '192.0.2.7',
        'x-real-ip': '192.0.2.7',
        forwarded: 'for=192.0.2.7',
        'x-azure-clientip': '192.0.2.7',
      },
    })
    return { status, message: (JSON.parse(body) as { error?: { message: string } }).error?.message ?? '' }
  }
  await setRules('192.0.2.7')
  const six = await get(6)
  assert.equal(six.status, 403)
  assert.match(six.message, /Client address: ::1\r\n/)
  assert.match((await get(4)).message, /Client address: 127\.0\.0\.1\r\n/)
  for (const [rule, four, sixth] of [
    ['::1', 403, 200],
    ['::/64', 403, 200],
    ['2001:db8::/32', 403, 403],
    ['127.0.0.1/32', 200, 403],
    ['127.0.0.0/9', 200, 403],
    ['0.0.0.0/0', 200, 403],
  ] as const) {
    assert.equal((await setRules(rule)).status, 200)
    assert.deepEqual([(await get(4)).status, (await get(6)).status], [four, sixth], rule)
  }
  for (const bad of ['10.0.0.0/33', '::/129', 'localhost', '1.2.3', 'fe80::1%eth0', '']) {
    const { status, body } = await setRules(bad)
    assert.equal(status, 400, bad)
    assert.match(body.error.target, /networkAcls\.ipRules/)
  }
})

test('with public access disabled nobody is let in from the network, whatever the rules', async () => {
  await cloud.vault('kv-closed')
  await cloud.arm('PATCH', cloud.vaultId('kv-closed'), {
    body: {
      properties: {
        publicNetworkAccess: 'Disabled',
        networkAcls: { defaultAction: 'Allow', bypass: 'AzureServices', ipRules: [{ value: '127.0.0.1' }] },
      },
    },
  })
  const { status, body } = await cloud.call('kv-closed', 'GET', '/keys')
  assert.equal(status, 403)
  assert.equal(body.error.innererror.code, 'ForbiddenByConnection')
})

test("a policy that names another tenant than the vault's is refused by each operation · R07", async () => {
  const foreign = { ...policy(USER, 'get'), tenantId: 'dddddddd-0000-4000-8000-000000000001' }
  assert.equal((await cloud.vault('kv-foreign', { accessPolicies: [foreign] })).status, 400)
  await cloud.vault('kv-foreign')
  const put = await cloud.arm('PUT', `${cloud.vaultId('kv-foreign')}/accessPolicies/add`, {
    body: { properties: { accessPolicies: [foreign] } },
  })
  assert.match(put.body.error.message, new RegExp(`must use the vault's tenant ${TENANT}`))
})

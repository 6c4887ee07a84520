import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { roleAssignments } from '../../src/arm/records.ts'
import { put, remove } from '../../src/store/records.ts'
import { ACCOUNT, ADMIN, FOREIGNER, policy, startCloud, TENANT, USER, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-access', {
    accessPolicies: [policy(ADMIN, 'all'), policy(ACCOUNT, 'get', 'wrapKey', 'unwrapKey')],
  })
  await cloud.keys('kv-access').createRsaKey('k')
})
after(() => cloud.close())

const wrap = { alg: 'RSA-OAEP-256', value: Buffer.alloc(32).toString('base64url') }

test('a call without a token gets a challenge that names the tenant of the vault', async () => {
  const { status, headers, body } = await cloud.call('kv-access', 'POST', '/keys/k/wrapkey', { token: null, body: '' })
  assert.equal(status, 401)
  assert.equal(
    headers['www-authenticate'],
    `Bearer authorization="https://login.localhost:${cloud.port}/${TENANT}", resource="https://vault.localhost:${cloud.port}"`,
  )
  assert.equal(body.error.code, 'Unauthorized')
  assert.equal(body.error.message, 'AKV10000: Request is missing a Bearer or PoP token.')
})

test('a token of another tenant or for another audience is refused · R07', async () => {
  const foreign = await cloud.call('kv-access', 'GET', '/keys', { as: FOREIGNER })
  assert.equal(foreign.status, 401)
  assert.match(foreign.body.error.message, /^AKV10032: Invalid issuer\. Expected one of https:\/\/sts\.windows\.net\//)
  const audience = await cloud.call('kv-access', 'GET', '/keys', {
    token: await cloud.token(ADMIN, 'https://management.azure.com'),
  })
  assert.equal(audience.status, 401)
  assert.match(
    audience.body.error.message,
    /^AKV10022: Invalid audience\. The token is for 'https:\/\/management\.azure\.com'/,
  )
})

test('each operation needs its own permission, and losing it takes effect at once · R10 R11 R19 R20', async () => {
  const path = `${cloud.vaultId('kv-access')}/accessPolicies`
  const update = (kind: string, ...keys: string[]) =>
    cloud.arm('PUT', `${path}/${kind}`, { body: { properties: { accessPolicies: [policy(USER, ...keys)] } } })
  const get = () => cloud.call('kv-access', 'GET', '/keys/k', { as: USER })
  const wrapKey = () => cloud.call('kv-access', 'POST', '/keys/k/wrapkey', { as: USER, body: wrap })

  assert.equal((await get()).status, 403)
  assert.equal((await update('add', 'get')).status, 200)
  assert.equal((await get()).status, 200)
  const refused = await wrapKey()
  assert.equal(refused.status, 403)
  assert.equal(refused.body.error.code, 'Forbidden')
  assert.equal(refused.body.error.innererror.code, 'ForbiddenByPolicy')
  assert.equal(
    refused.body.error.message,
    `The user, group or application 'appid=app-of-${USER};oid=${USER};iss=https://sts.windows.net/${TENANT}/' does not have keys wrapKey ` +
      "permission on key vault 'kv-access;location=eastus'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
  )
  await update('add', 'wrapKey')
  assert.equal((await wrapKey()).status, 200)
  await update('remove', 'wrapKey')
  assert.equal((await wrapKey()).status, 403)
  assert.equal((await get()).status, 200)
  await update('remove', 'get')
  assert.equal((await get()).status, 403)
})

test('in RBAC mode role assignments on the vault or above decide, and policies are ignored · R10', async () => {
  await cloud.vault('kv-rbac', { enableRbacAuthorization: true })
  const get = (as: string) => cloud.call('kv-rbac', 'GET', '/keys/k', { as })
  const { status, body } = await get(ADMIN)
  assert.equal(status, 403)
  assert.equal(body.error.innererror.code, 'ForbiddenByRbac')
  assert.match(body.error.message, /Action: 'Microsoft\.KeyVault\/vaults\/keys\/read'\r\nResource: '\/subscriptions\//)
  const assign = (name: string, principalId: string, roleDefinitionId: string, scope: string) =>
    cloud.records.commit([
      put(roleAssignments, `${cloud.subscription}/${name}`, {
        name,
        scope,
        roleDefinitionId,
        principalId,
        createdOn: '',
      }),
    ])
  await assign(
    'officer',
    ADMIN,
    '14b46e9e-c2b7-41b4-b07b-48a6ebf60603',
    `/subscriptions/${cloud.subscription}/resourceGroups/rg`,
  )
  await assign('encryption', USER, 'e147488a-f6f5-4113-8e2d-b22465e65bf6', cloud.vaultId('kv-rbac'))
  assert.equal((await cloud.call('kv-rbac', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })).status, 200)
  assert.equal((await get(USER)).status, 200)
  assert.equal((await cloud.call('kv-rbac', 'POST', '/keys/k/wrapkey', { as: USER, body: wrap })).status, 200)
  assert.equal((await cloud.call('kv-rbac', 'POST', '/keys/k/rotate', { as: USER })).status, 403)
  await cloud.records.commit([remove(roleAssignments, `${cloud.subscription}/encryption`)])
  assert.equal((await get(USER)).status, 403)
})

test('the firewall checks the real peer, and lets trusted services in by the bypass only · R09 R20', async () => {
  const setAcls = async (networkAcls: object) => {
    const body = { properties: { networkAcls } }
    assert.equal((await cloud.arm('PATCH', cloud.vaultId('kv-access'), { body })).status, 200)
  }
  const get = (service = false, as = ADMIN) => cloud.call('kv-access', 'GET', '/keys/k', { service, as })
  await setAcls({ defaultAction: 'Deny', bypass: 'None' })
  const refused = await get()
  assert.equal(refused.status, 403)
  assert.equal(refused.body.error.innererror.code, 'ForbiddenByFirewall')
  assert.match(refused.body.error.message, /Client address: 127\.0\.0\.1\r\nCaller: appid=/)
  assert.match((await get(true, ACCOUNT)).body.error.message, /caller was ignored because bypass is set to None/)
  await setAcls({ defaultAction: 'Deny', bypass: 'AzureServices' })
  assert.equal((await get(true, ACCOUNT)).status, 200)
  assert.equal((await get(false, ACCOUNT)).status, 403, 'a borrowed token comes over the network')
  assert.equal((await get(true, USER)).status, 403)
  await setAcls({ defaultAction: 'Deny', bypass: 'None', ipRules: [{ value: '127.0.0.0/8' }] })
  assert.equal((await get()).status, 200)
  await setAcls({ defaultAction: 'Allow', bypass: 'AzureServices', ipRules: [] })
})

test('a vault that does not exist answers 404 before authentication', async () => {
  const { status, body } = await cloud.call('nowhere', 'GET', '/keys', { token: null })
  assert.equal(status, 404)
  assert.equal(body.error.code, 'VaultNotFound')
})

test('every call makes one audit record, allowed or refused · R05', async () => {
  const before = (await cloud.auditEntries()).length
  await cloud.call('kv-access', 'GET', '/keys/k')
  await cloud.call('kv-access', 'GET', '/keys/k', { as: USER })
  await cloud.call('kv-access', 'GET', '/keys/k', { token: null })
  const [allowed, refused, challenged, ...more] = (await cloud.auditEntries()).slice(before)
  assert.equal(more.length, 0)
  assert.equal(allowed?.operationName, 'KeyGet')
  assert.equal(allowed?.resultSignature, 'OK')
  assert.equal(allowed?.callerIpAddress, '127.0.0.1')
  assert.equal(allowed?.resourceId, cloud.vaultId('kv-access').toUpperCase())
  assert.equal(refused?.resultType, 'Failed')
  assert.equal(refused?.resultSignature, 'Forbidden')
  assert.deepEqual(refused?.identity, {
    claim: {
      'http://schemas.microsoft.com/identity/claims/objectidentifier': USER,
      'http://schemas.microsoft.com/identity/claims/tenantid': TENANT,
      appid: `app-of-${USER}`,
    },
  })
  assert.equal(challenged?.operationName, 'Authentication')
  assert.equal((await cloud.audit.verify()).ok, true)
})

test('the data plane takes the api-versions of the official clients and no others', async () => {
  const versions =
    '7.0 7.1 7.2 7.3 7.4 7.5 7.6 7.2-preview 7.3-preview 7.4-preview.1 7.5-preview.1 7.6-preview.2 2025-07-01'
  for (const version of versions.split(' ')) {
    assert.equal((await cloud.call('kv-access', 'GET', '/keys', { version })).status, 200, version)
  }
  const { status } = await cloud.call('kv-access', 'GET', '/keys?API%2DVersion=2025%2D07%2D01', { version: null })
  assert.equal(status, 200)
  for (const version of [null, '', '6.9', '7', '7.60', '7.6,7.5', '2025-07-02', '7.6%00']) {
    const { status: refused, body } = await cloud.call('kv-access', 'GET', '/keys', { version })
    assert.equal(refused, 400, String(version))
    assert.equal(body.error.code, 'BadParameter')
    assert.equal(body.error.target, 'api-version')
    assert.match(body.error.message, version ? /is not recognized/ : /must be specified/)
  }
})

test('a client whose token expired by the clock of the cloud gets a new one by itself', async () => {
  const keys = cloud.keys('kv-access')
  await keys.getKey('k')
  await cloud.advance(1)
  assert.equal((await keys.getKey('k')).name, 'k')
})

test('a request with a slow body does not outlive a revocation · R19', async () => {
  const update = (kind: string) =>
    cloud.arm('PUT', `${cloud.vaultId('kv-access')}/accessPolicies/${kind}`, {
      body: { properties: { accessPolicies: [policy(USER, 'wrapKey')] } },
    })
  await update('add')
  const host = 'kv-access.vault.localhost'
  const body = JSON.stringify(wrap)
  const slow = request({
    host: '127.0.0.1',
    servername: host,
    port: cloud.port,
    ca: cloud.server.certificates.caPem,
    method: 'POST',
    path: '/keys/k/wrapkey?api-version=7.6',
    headers: { host, authorization: `Bearer ${await cloud.token(USER)}`, 'content-length': body.length },
  })
  const answered = once(slow, 'response') as Promise<[IncomingMessage]>
  slow.write(body.slice(0, 10))
  await setTimeout(100)
  await update('remove')
  slow.end(body.slice(10))
  const [response] = await answered
  response.resume()
  assert.equal(response.statusCode, 403)
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { administratorOf, newPrincipal, type Client } from '../arm/arm.fixture.ts'
import { cloudFor } from '../support/cloud.ts'
import { routeTable } from '../../src/http/route-table.ts'
import { everyRoute } from '../support/routes.ts'
import { auditRecords } from './ownkey.fixture.ts'

/*
 * Every operation of Key Vault, on both planes: allowed, refused for missing rights, and refused for its api-version. A route that is
 * missing here fails the test, so that no route comes without its record (R05).
 */
const cloud = await cloudFor({ after })
const { endpoints, dataDir } = cloud
const { subscriptionId, tenantId, location } = endpoints
const admin = await administratorOf(endpoints)
const stranger = await newPrincipal(admin, admin, 'nobody')

const SUB = `/subscriptions/${subscriptionId}`
const GROUP = `${SUB}/resourceGroups/audited`
const VAULT = `${GROUP}/providers/Microsoft.KeyVault/vaults/kv-audited`
const PROVIDER = `${SUB}/providers/Microsoft.KeyVault`
const STORAGE = `${GROUP}/providers/Microsoft.Storage/storageAccounts/logs`
const digest = createHash('sha256').update('x').digest('base64url')
const value = Buffer.alloc(32, 7).toString('base64url')
const accessPolicies = [{ tenantId, objectId: admin.objectId, permissions: { keys: ['all'] } }]
const vault = { location, properties: { tenantId, sku: { family: 'A', name: 'premium' }, accessPolicies } }
const recover = { location, properties: { ...vault.properties, createMode: 'recover' } }
const log = [{ category: 'AuditEvent', enabled: true }]

interface Answer {
  readonly status: number
  readonly requestId: string
  readonly body: { value: string; key: { kid: string } }
}

interface Sending {
  readonly body?: unknown
  readonly version?: string
}

async function send(who: Client, method: string, path: string, { body, version }: Sending = {}): Promise<Answer> {
  const isData = path.startsWith('/keys') || path.startsWith('/deletedkeys') || path === '/rng'
  const base = isData ? `https://kv-audited${endpoints.keyVaultSuffix}` : endpoints.resourceManager
  const token = await who.token(isData ? 'https://vault.azure.net' : endpoints.resourceManager)
  const insights = /insights/i.test(path) ? '2021-05-01-preview' : '2023-07-01'
  const url = `${base}${path}?api-version=${version ?? (isData ? '7.6' : insights)}`
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const requestId = response.headers.get('x-ms-request-id') ?? ''
  return { status: response.status, requestId, body: text === '' ? undefined : JSON.parse(text) }
}

interface Step {
  readonly operationName: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly status?: number
}

const step = (operationName: string, method: string, path: string, body?: unknown, status = 200): Step => ({
  operationName,
  method,
  path,
  body,
  status,
})

/** Whole lives in their order: each step uses what the steps before it made. */
async function steps(): Promise<Step[]> {
  const version = (await send(admin, 'POST', '/keys/k/create', { body: { kty: 'RSA-HSM' } })).body.key.kid
    .split('/')
    .at(-1)
  const backup = (await send(admin, 'POST', '/keys/k/backup')).body.value
  const wrapped = await send(admin, 'POST', '/keys/k/wrapkey', { body: { alg: 'RSA-OAEP-256', value } })
  const block = { alg: 'RSA-OAEP-256', value: wrapped.body.value }
  const sign = { alg: 'RS256', value: digest }
  const verify = { alg: 'RS256', digest, value: wrapped.body.value }
  const both = (operationName: string, method: string, end: string, body?: unknown, status = 200): Step[] => [
    step(operationName, method, `/keys/k${end}`, body, status),
    step(operationName, method, `/keys/k/${version}${end}`, body, status),
  ]
  const plain = { alg: 'RSA-OAEP-256', value }
  const rotation = {
    lifetimeActions: [{ trigger: { timeAfterCreate: 'P30D' }, action: { type: 'Rotate' } }],
    attributes: { expiryTime: 'P90D' },
  }
  const settings = `${VAULT}/providers/Microsoft.Insights/diagnosticSettings`
  return [
    step('KeyCreate', 'POST', '/keys/made/create', { kty: 'EC' }),
    step('KeyImport', 'PUT', '/keys/brought', { Hsm: true, key: { kty: 'oct', k: value } }),
    ...both('KeyGet', 'GET', ''),
    ...both('KeyUpdate', 'PATCH', '', { tags: { a: 'b' } }),
    step('KeyList', 'GET', '/keys'),
    step('KeyListVersions', 'GET', '/keys/k/versions'),
    ...both('KeyEncrypt', 'POST', '/encrypt', plain),
    ...both('KeyDecrypt', 'POST', '/decrypt', block),
    ...both('KeyWrap', 'POST', '/wrapkey', plain),
    ...both('KeyUnwrap', 'POST', '/unwrapkey', block),
    ...both('KeySign', 'POST', '/sign', sign),
    ...both('KeyVerify', 'POST', '/verify', verify),
    ...both('KeyRelease', 'POST', '/release', undefined, 400),
    ...both('KeyGetAttestation', 'GET', '/attestation', undefined, 400),
    step('RandomBytesGet', 'POST', '/rng', { count: 8 }),
    step('KeyRotationPolicySet', 'PUT', '/keys/k/rotationpolicy', rotation),
    step('KeyRotationPolicyGet', 'GET', '/keys/k/rotationpolicy'),
    step('KeyRotate', 'POST', '/keys/k/rotate'),
    step('KeyBackup', 'POST', '/keys/k/backup'),
    step('KeyDelete', 'DELETE', '/keys/k'),
    step('KeyGetDeleted', 'GET', '/deletedkeys/k'),
    step('KeyListDeleted', 'GET', '/deletedkeys'),
    step('KeyRecover', 'POST', '/deletedkeys/k/recover'),
    step('KeyDelete', 'DELETE', '/keys/k'),
    step('KeyPurge', 'DELETE', '/deletedkeys/k', undefined, 204),
    step('KeyRestore', 'POST', '/keys/restore', { value: backup }),
    step('VaultPut', 'PUT', VAULT, vault),
    step('VaultPatch', 'PATCH', VAULT, { tags: { a: 'b' } }),
    step('VaultGet', 'GET', VAULT),
    step('VaultList', 'GET', VAULT.slice(0, VAULT.lastIndexOf('/'))),
    step('VaultList', 'GET', `${PROVIDER}/vaults`),
    step('VaultAccessPolicyUpdate', 'PUT', `${VAULT}/accessPolicies/add`, { properties: { accessPolicies } }),
    step('VaultCheckNameAvailability', 'POST', `${PROVIDER}/checkNameAvailability`, {
      name: 'kv-free',
      type: 'Microsoft.KeyVault/vaults',
    }),
    step('ManagedHsmCheckNameAvailability', 'POST', `${PROVIDER}/checkMhsmNameAvailability`, { name: 'hsm-free' }),
    step('Microsoft.Insights/diagnosticSettings/write', 'PUT', `${settings}/s`, {
      properties: { storageAccountId: STORAGE, logs: log },
    }),
    step('Microsoft.Insights/diagnosticSettings/read', 'GET', `${settings}/s`),
    step('Microsoft.Insights/diagnosticSettings/read', 'GET', settings),
    step('Microsoft.Insights/diagnosticSettings/delete', 'DELETE', `${settings}/s`),
    step('Microsoft.Insights/diagnosticSettings/read', 'GET', `${settings}Categories`),
    step('ManagedHsmList', 'GET', `${PROVIDER}/managedHSMs`),
    step('ManagedHsmList', 'GET', `${PROVIDER}/deletedManagedHSMs`),
    step('VaultDelete', 'DELETE', VAULT),
    step('VaultGetDeleted', 'GET', `${PROVIDER}/locations/${location}/deletedVaults/kv-audited`),
    step('VaultListDeleted', 'GET', `${PROVIDER}/deletedVaults`),
    step('VaultRecover', 'PUT', VAULT, recover),
    step('VaultDelete', 'DELETE', VAULT),
    step('VaultPurge', 'POST', `${PROVIDER}/locations/${location}/deletedVaults/kv-audited/purge`),
  ]
}

interface Made extends Step {
  readonly requestId: string
  readonly who: Client
  readonly found: number
}

test('each operation of Key Vault, allowed or refused, makes exactly one record of who, what and the result · R05', async () => {
  await admin.arm('PUT', GROUP, { location })
  assert.equal((await admin.arm('PUT', VAULT, vault)).status, 201)
  const all = await steps()
  const made: Made[] = []
  const ask = async (one: Step, who: Client, status: number, version?: string): Promise<void> => {
    const sending = { body: one.body, ...(version === undefined ? {} : { version }) }
    const answer = await send(who, one.method, one.path, sending)
    const where = `${one.method} ${one.path}: ${JSON.stringify(answer.body)}`
    assert.equal(answer.status, status, where)
    // Until it is done, a recovery looks like any other PUT.
    const isRefusedRecovery = one.operationName === 'VaultRecover' && status >= 400
    const operationName = isRefusedRecovery ? 'VaultPut' : one.operationName
    made.push({ ...one, operationName, requestId: answer.requestId, who, found: status })
  }
  for (const one of all) {
    await ask(one, stranger, 403)
    await ask(one, admin, 400, '1.0')
    await ask(one, admin, one.status ?? 200)
  }
  await checkComplete(all)
  const records = await auditRecords(dataDir)
  for (const { method, path, operationName, requestId, who, found } of made) {
    const mine = records.filter(
      ({ correlationId, callerIpAddress }) => correlationId === requestId && callerIpAddress !== 'service',
    )
    const where = `${method} ${path} -> ${found}`
    assert.deepEqual(
      mine.map(record => record.operationName),
      [operationName],
      where,
    )
    const [record] = mine
    assert.equal(record?.resultType, found < 400 ? 'Success' : 'Failed', where)
    assert.equal(record?.properties['httpStatusCode'], found, where)
    const objectId = record?.identity?.claim['http://schemas.microsoft.com/identity/claims/objectidentifier']
    assert.equal(objectId, who.objectId, where)
    assert.match(record?.resourceId ?? '', /^\/SUBSCRIPTIONS\//, where)
    assert.ok(String(record?.properties['id']).length > 10, where)
    if (found >= 400) assert.ok((record?.resultDescription ?? '').length > 10, where)
  }
})

/** No route of Key Vault is left out of the list. */
async function checkComplete(all: readonly Step[]): Promise<void> {
  const routes = (await everyRoute()).filter(
    // The provider's operations are for everybody, and belong to no subscription or vault.
    ({ host, path }) =>
      host === 'vault' || (/microsoft\.(keyvault|insights)/.test(path) && !path.endsWith('/operations')),
  )
  const table = routeTable(routes)
  const touched = all.map(({ method, path }) => {
    const host = path.startsWith('/subscriptions') ? 'management' : 'vault'
    const found = table.match(host, method, path.split('/').filter(Boolean))
    return found.type === 'found' ? found.route : undefined
  })
  const missing = routes.filter(route => !touched.includes(route)).map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual(missing, [])
}

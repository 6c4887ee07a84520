import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import { administratorCredential } from '../../src/harness/azure-client.ts'
import { administratorObjectId, type Scene } from '../../src/harness/scene.ts'
import { sceneFor } from '../support/cloud.ts'
import { auditRecords, type PrintedRecord } from './ownkey.fixture.ts'

const SUITE = { after: (fn: () => Promise<void>) => cleanups.push(fn) }
const cleanups: (() => Promise<void>)[] = []
let scene: Scene
let dataDir: string
let apiKey: string
let objectId: string

interface Asked {
  readonly title: string
  readonly status: number
  readonly requestId: string
  readonly operationName: string
  /** `nobody`, `administrator` or `key`. */
  readonly who: string
}

interface Asking {
  readonly method?: string
  readonly body?: object | FormData
  readonly token?: string | null
  readonly apiKey?: string
}

before(async () => {
  ;({ scene, dataDir } = await sceneFor(SUITE))
  objectId = await administratorObjectId(scene.endpoints)
  const listed = await send(`${account()}/listKeys?api-version=2025-06-01`, { method: 'POST' })
  apiKey = ((await listed.json()) as { key1: string }).key1
})

test.after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

const group = (): string =>
  `${scene.endpoints.resourceManager}/subscriptions/${scene.endpoints.subscriptionId}/resourceGroups/demo`
const account = (): string => `${group()}/providers/Microsoft.CognitiveServices/accounts/contoso`
const vault = (name = 'contoso-keys'): string => `${group()}/providers/Microsoft.KeyVault/vaults/${name}`
const keys = (path: string): string => `https://contoso-keys${scene.endpoints.keyVaultSuffix}${path}?api-version=7.6`
const openai = (path: string): string =>
  `https://contoso${scene.endpoints.openAiSuffix}/openai${path}?api-version=2024-10-21`

async function send(url: string, { method = 'GET', body, token, apiKey: key }: Asking = {}): Promise<Response> {
  const audience = /\.vault\./.test(url) ? 'https://vault.azure.net' : scene.endpoints.resourceManager
  const own = token === undefined && key === undefined
  const bearer = own ? (await administratorCredential(scene.endpoints).getToken(`${audience}/.default`))?.token : token
  return fetch(url, {
    method,
    headers: {
      ...(bearer == null ? {} : { authorization: `Bearer ${bearer}` }),
      ...(key === undefined ? {} : { 'api-key': key }),
      ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
  })
}

/** A request, and the record that is expected. */
async function ask(operationName: string, status: number, url: string, asking: Asking = {}): Promise<Asked> {
  const response = await send(url, asking)
  await response.arrayBuffer()
  const who = asking.apiKey !== undefined ? 'key' : asking.token !== undefined ? 'nobody' : 'administrator'
  const title = `${asking.method ?? 'GET'} ${new URL(url).pathname}`
  assert.equal(response.status, status, title)
  const wanted = status === 401 ? 'nobody' : who
  return { title, status, requestId: response.headers.get('x-ms-request-id') ?? '', operationName, who: wanted }
}

async function askVaults(): Promise<Asked[]> {
  const { tenantId, location } = scene.endpoints
  const properties = { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] }
  const value = Buffer.alloc(32).toString('base64url')
  const arm = '?api-version=2023-07-01'
  const name = { name: 'free', type: 'Microsoft.KeyVault/vaults' }
  const provider = `${group().replace(/\/resourceGroups.*/, '')}/providers/Microsoft.KeyVault`
  return [
    await ask('VaultPut', 201, vault('second') + arm, { method: 'PUT', body: { location, properties } }),
    await ask('VaultPut', 400, vault('x') + arm, { method: 'PUT', body: { location, properties } }),
    await ask('VaultGet', 200, vault('second') + arm),
    await ask('VaultGet', 404, vault('nowhere') + arm),
    await ask('VaultGet', 400, `${vault('second')}?api-version=1999-01-01`),
    await ask('VaultPatch', 200, vault('second') + arm, { method: 'PATCH', body: { tags: { a: 'b' } } }),
    await ask('VaultDelete', 200, vault('second') + arm, { method: 'DELETE' }),
    await ask('VaultListDeleted', 200, `${provider}/deletedVaults${arm}`),
    await ask('VaultPurge', 200, `${provider}/locations/${location}/deletedVaults/second/purge${arm}`, {
      method: 'POST',
    }),
    await ask('VaultCheckNameAvailability', 200, `${provider}/checkNameAvailability${arm}`, {
      method: 'POST',
      body: name,
    }),
    await ask('Authentication', 401, vault() + arm, { token: null }),
    await ask('Authentication', 401, vault() + arm, { token: 'no.such.token' }),
    await ask('KeyCreate', 200, keys('/keys/one/create'), { method: 'POST', body: { kty: 'EC' } }),
    await ask('KeyCreate', 400, keys('/keys/one/create'), { method: 'POST', body: { kty: 'DSA' } }),
    await ask('KeyGet', 200, keys('/keys/one')),
    await ask('KeyGet', 404, keys('/keys/none')),
    await ask('KeyList', 200, keys('/keys')),
    await ask('KeyListVersions', 200, keys('/keys/one/versions')),
    await ask('KeyWrap', 403, keys('/keys/one/wrapkey'), { method: 'POST', body: { alg: 'RSA-OAEP-256', value } }),
    await ask('KeyDelete', 200, keys('/keys/one'), { method: 'DELETE' }),
    await ask('KeyPurge', 403, keys('/deletedkeys/one'), { method: 'DELETE' }),
    await ask('Authentication', 401, keys('/keys/one'), { token: null }),
  ]
}

async function askManagement(): Promise<Asked[]> {
  const base = `${scene.endpoints.resourceManager}/subscriptions`
  const arm = '?api-version=2025-04-01'
  const accounts = '?api-version=2025-06-01'
  const cognitive = 'Microsoft.CognitiveServices/accounts'
  const groups = 'Microsoft.Resources/subscriptions/resourceGroups'
  return [
    await ask('GET /subscriptions', 200, base + arm),
    await ask(`${groups}/read`, 200, group() + arm),
    await ask(`${groups}/write`, 400, `${group()}2${arm}`, { method: 'PUT', body: { location: 'atlantis' } }),
    await ask(`${cognitive}/read`, 200, account() + accounts),
    await ask(`${cognitive}/read`, 404, `${account()}2${accounts}`),
    await ask(`${cognitive}/write`, 201, `${account()}-two${accounts}`, {
      method: 'PUT',
      body: { location: scene.endpoints.location, kind: 'OpenAI', sku: { name: 'S0' } },
    }),
    await ask(`${cognitive}/write`, 200, account() + accounts, { method: 'PATCH', body: { tags: { a: 'b' } } }),
    await ask(`${cognitive}/write`, 400, account() + accounts, {
      method: 'PATCH',
      body: { properties: { encryption: { keySource: 'Microsoft.KeyVault' } } },
    }),
    await ask(`${cognitive}/listKeys/action`, 200, `${account()}/listKeys${accounts}`, { method: 'POST' }),
    await ask(`${cognitive}/deployments/read`, 200, `${account()}/deployments${accounts}`),
    await ask('Authentication', 401, account() + accounts, { token: null }),
    await ask('OwnKey/audit/verify', 200, `${scene.endpoints.resourceManager}/ownkey/audit/verify`),
    await ask('Authentication', 401, `${scene.endpoints.resourceManager}/ownkey/audit`, { token: null }),
  ]
}

async function askOpenAi(): Promise<Asked[]> {
  const actions = 'Microsoft.CognitiveServices/accounts/OpenAI'
  const upload = async (text: Buffer): Promise<FormData> => {
    const form = new FormData()
    form.set('file', new Blob([new Uint8Array(text)]), 'training.jsonl')
    form.set('purpose', 'fine-tune')
    return form
  }
  const training = await readFile(new URL('../data/marv.jsonl', import.meta.url))
  const file = await send(openai('/files'), { method: 'POST', apiKey, body: await upload(training) })
  const { id } = (await file.json()) as { id: string }
  const chat = openai('/deployments/none/chat/completions')
  const written = { title: 'POST /openai/files', operationName: `${actions}/files/write`, who: 'key' }
  return [
    { ...written, status: 201, requestId: file.headers.get('x-ms-request-id') ?? '' },
    await ask(written.operationName, 400, openai('/files'), {
      method: 'POST',
      apiKey,
      body: await upload(Buffer.from('{')),
    }),
    await ask(`${actions}/files/read`, 200, openai('/files'), { apiKey }),
    await ask(`${actions}/files/read`, 200, openai(`/files/${id}`), { apiKey }),
    await ask(`${actions}/files/read`, 200, openai(`/files/${id}/content`), { apiKey }),
    await ask(`${actions}/files/read`, 404, openai('/files/file-00000000000000000000000000000000'), { apiKey }),
    await ask(`${actions}/files/delete`, 200, openai(`/files/${id}`), { method: 'DELETE', apiKey }),
    await ask(`${actions}/fine-tunes/read`, 200, openai('/fine_tuning/jobs'), { apiKey }),
    await ask(`${actions}/models/read`, 200, openai('/models'), { apiKey }),
    await ask(`${actions}/deployments/chat/completions/action`, 404, chat, {
      method: 'POST',
      apiKey,
      body: { messages: [{ role: 'user', content: 'Hello' }] },
    }),
    await ask(`${actions}/files/read`, 400, openai('/files').replace(/\?.*/, ''), { apiKey }),
    await ask('Authentication', 401, openai('/files'), { apiKey: 'wrong' }),
    await ask('Authentication', 401, openai('/files'), { token: null }),
  ]
}

test("every operation of every plane, allowed or refused, makes one record with Azure's fields · R05", async () => {
  const asked = [...(await askVaults()), ...(await askManagement()), ...(await askOpenAi())]
  const records = await auditRecords(dataDir)
  for (const one of asked) {
    const mine = records.filter(
      ({ correlationId, callerIpAddress }) => correlationId === one.requestId && callerIpAddress !== 'service',
    )
    const where = `${one.title} -> ${one.status}`
    assert.deepEqual(
      mine.map(({ operationName }) => operationName),
      [one.operationName],
      where,
    )
    checkRecord(mine[0] as PrintedRecord, one, where)
  }
})

function checkRecord(record: PrintedRecord, { status, who }: Asked, where: string): void {
  assert.equal(record.category, 'AuditEvent', where)
  assert.equal(record.resultType, status < 400 ? 'Success' : 'Failed', where)
  assert.equal(record.properties['httpStatusCode'], status, where)
  assert.match(record.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, where)
  assert.match(record.resultSignature, /^[A-Z][A-Za-z]+$/, where)
  assert.equal(record.callerIpAddress, '127.0.0.1', where)
  assert.ok(record.durationMs >= 0, where)
  assert.equal(record.resourceId, record.resourceId.toUpperCase(), where)
  assert.match(String(record.properties['requestUri']), /^https:\/\//, where)
  assert.equal(record.properties['clientInfo'], 'node', where)
  const claim = record.identity?.claim
  if (who === 'administrator')
    assert.equal(claim?.['http://schemas.microsoft.com/identity/claims/objectidentifier'], objectId, where)
  else assert.deepEqual(claim, who === 'key' ? { authenticationType: 'ApiKey' } : undefined, where)
  if (status >= 400) assert.notEqual(record.resultDescription, '', where)
}

test('logins are recorded, allowed or refused, and never with a secret · R05', async () => {
  const { authority, tenantId, administrator, resourceManager } = scene.endpoints
  const logIn = async (clientSecret: string): Promise<string> => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: administrator.clientId,
      client_secret: clientSecret,
      scope: `${resourceManager}/.default`,
    })
    const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })
    await response.arrayBuffer()
    return response.headers.get('x-ms-request-id') ?? ''
  }
  const [allowed, refused] = [await logIn(administrator.clientSecret), await logIn('not-the-secret')]
  const records = await auditRecords(dataDir)
  const find = (id: string) => records.filter(({ correlationId }) => correlationId === id)
  for (const [id, status] of [
    [allowed, 200],
    [refused, 401],
  ] as const) {
    const [record, ...more] = find(id)
    assert.equal(more.length, 0)
    assert.equal(record?.operationName, 'SignIn')
    assert.equal(record?.properties['httpStatusCode'], status)
    assert.equal(record?.properties['clientId'], administrator.clientId)
    assert.equal(record?.resourceId, `/TENANTS/${tenantId.toUpperCase()}`)
  }
  assert.equal(JSON.stringify(records).includes('not-the-secret'), false)
})

test('a record names the resource, also where the caller was refused · R05', async () => {
  const records = await auditRecords(dataDir)
  for (const { resourceId, properties } of records) {
    if (!/\.(vault|openai)\./.test(String(properties['requestUri']))) continue
    assert.match(resourceId, /\/(VAULTS\/CONTOSO-KEYS|ACCOUNTS\/CONTOSO)$/)
  }
})

test("the account's own use of its key is recorded as its identity's, over the service's own connection · R05 R13", async () => {
  const version = (await scene.keys.getKey(scene.key)).properties.version ?? ''
  await scene.setEncryption(version)
  const wraps = (await auditRecords(dataDir, '--vault', 'CONTOSO-keys')).filter(
    ({ operationName }) => operationName === 'KeyWrap',
  )
  const mine = wraps.find(({ resultType }) => resultType === 'Success')
  assert.equal(
    mine?.identity?.claim['http://schemas.microsoft.com/identity/claims/objectidentifier'],
    scene.principalId,
  )
  assert.equal(mine?.callerIpAddress, 'service')
  assert.match(String(mine?.properties['id']), new RegExp(`/keys/${scene.key}/${version}$`))
})

test('no record holds a secret: no token, API key or key material', async () => {
  const text = JSON.stringify(await auditRecords(dataDir))
  assert.equal(text.includes(apiKey), false)
  assert.equal(text.includes(scene.endpoints.administrator.clientSecret), false)
  assert.doesNotMatch(text, /eyJ[\w-]{20,}\.|PRIVATE KEY/)
})

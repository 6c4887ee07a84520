import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { SignJWT } from 'jose'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { authority, resourceManager, subscriptionId, tenantId, location, administrator } = cloud.endpoints
const scope = `${resourceManager}/.default`
const genuine = (await azure.credential.getToken(scope))?.token ?? ''

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

async function ask(method: string, url: string, init: RequestInit = {}, token = genuine): Promise<Answer> {
  const headers = {
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    'content-type': 'application/json',
    ...(init.headers as Record<string, string> | undefined),
  }
  const response = await fetch(url.startsWith('/') ? `${resourceManager}${url}` : url, { ...init, method, headers })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

const body = (value: unknown): RequestInit => ({ body: typeof value === 'string' ? value : JSON.stringify(value) })
const group = `/subscriptions/${subscriptionId}/resourceGroups/tests`
const account = (name: string): string =>
  `${group}/providers/Microsoft.CognitiveServices/accounts/${name}?api-version=2025-06-01`
const vault = (name: string): string => `${group}/providers/Microsoft.KeyVault/vaults/${name}?api-version=2023-07-01`
const newAccount = { location, kind: 'OpenAI', sku: { name: 'S0' }, properties: { customSubDomainName: 'fresh' } }
const newVault = { location, properties: { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] } }

/** The claims of a genuine token, signed by somebody else or changed. */
async function forged(change: Record<string, unknown> = {}, alg = 'RS256'): Promise<string> {
  const [head = '', claims = ''] = genuine.split('.')
  const parsed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }
  if (alg === 'none') {
    const none = Buffer.from(JSON.stringify({ ...header, alg: 'none' })).toString('base64url')
    return `${none}.${Buffer.from(JSON.stringify({ ...parsed, ...change })).toString('base64url')}.`
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return new SignJWT({ ...parsed, ...change }).setProtectedHeader({ ...header, alg: 'RS256' }).sign(privateKey)
}

const LIST = `/subscriptions/${subscriptionId}/resourceGroups?api-version=2022-09-01`
const cases: [what: string, statuses: number[], send: () => Promise<Answer>][] = [
  ['no token', [401], () => ask('GET', LIST, {}, '')],
  ['a token that is none', [401], () => ask('GET', LIST, {}, 'a.b.c')],
  ['a token without a signature', [401], async () => ask('GET', LIST, {}, await forged({}, 'none'))],
  ['a token that somebody else signed', [401], async () => ask('GET', LIST, {}, await forged())],
  [
    'a token for a vault',
    [401, 403],
    async () => ask('GET', LIST, {}, (await azure.credential.getToken('https://vault.azure.net/.default'))?.token),
  ],
  ['a token cut in the middle', [401], () => ask('GET', LIST, {}, genuine.slice(0, -20))],
  ['no api-version', [400], () => ask('GET', `/subscriptions/${subscriptionId}/resourceGroups`)],
  ['an api-version that is none', [400], () => ask('GET', LIST.replace('2022-09-01', 'newest'))],
  [
    'a subscription id that is none',
    [400, 404],
    () => ask('GET', '/subscriptions/mine/resourceGroups?api-version=2022-09-01'),
  ],
  [
    'a subscription that nobody has',
    [404],
    () => ask('GET', `/subscriptions/${randomUUID()}/resourceGroups?api-version=2022-09-01`),
  ],
  [
    'a group that is not there',
    [404],
    () => ask('PUT', account('x1').replace('/tests/', '/absent/'), body(newAccount)),
  ],
  [
    'a provider that is not there',
    [404],
    () => ask('GET', `${group}/providers/Microsoft.Nothing/things/x?api-version=2022-09-01`),
  ],
  ['an account that is not there', [404], () => ask('GET', account('absent'))],
  [
    'a deployment of an account that is not there',
    [404],
    () => ask('GET', account('absent').replace('?', '/deployments/d?')),
  ],
  ['an unknown route', [404], () => ask('GET', '/nothing/at/all?api-version=2022-09-01')],
  ['a body that is no JSON', [400], () => ask('PUT', account('x2'), body('{'))],
  ['a body that is a list', [400], () => ask('PUT', account('x3'), body([]))],
  [
    'a body of 10 MB',
    [413],
    () => ask('PUT', account('x4'), body({ ...newAccount, tags: { a: 'x'.repeat(10_000_000) } })),
  ],
  [
    'a body nested 5,000 deep',
    [400],
    () => ask('PUT', account('x5'), body(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`)),
  ],
  ['a name with a space', [400], () => ask('PUT', account('a%20b'), body(newAccount))],
  ['a name with a climb in it', [400, 404], () => ask('PUT', account('..%2Fx'), body(newAccount))],
  ['no location', [400], () => ask('PUT', account('x6'), body({ ...newAccount, location: undefined }))],
  ['a location that is none', [400], () => ask('PUT', account('x7'), body({ ...newAccount, location: 'atlantis' }))],
  ['a kind that is none', [400], () => ask('PUT', account('x8'), body({ ...newAccount, kind: 'Toaster' }))],
  [
    'an identity type that is none',
    [400],
    () => ask('PUT', account('x9'), body({ ...newAccount, identity: { type: 'Mine' } })),
  ],
  [
    'an encryption without a key',
    [400],
    () =>
      ask(
        'PUT',
        account('x10'),
        body({ ...newAccount, properties: { encryption: { keySource: 'Microsoft.KeyVault' } } }),
      ),
  ],
  [
    'an encryption source that is none',
    [400],
    () => ask('PUT', account('x11'), body({ ...newAccount, properties: { encryption: { keySource: 'Mine' } } })),
  ],
  ['a vault name that is too long', [400], () => ask('PUT', vault('v'.repeat(40)), body(newVault))],
  [
    'a retention of one day',
    [400],
    () =>
      ask(
        'PUT',
        vault('kv-days'),
        body({ ...newVault, properties: { ...newVault.properties, softDeleteRetentionInDays: 1 } }),
      ),
  ],
  [
    'a firewall rule that is no address',
    [400],
    () =>
      ask(
        'PUT',
        vault('kv-net'),
        body({
          ...newVault,
          properties: { ...newVault.properties, networkAcls: { defaultAction: 'Deny', ipRules: [{ value: 'here' }] } },
        }),
      ),
  ],
]

for (const [what, statuses, send] of cases) {
  test(`Resource Manager: ${what} is refused in Azure's error shape, and nothing is made`, async t => {
    const { status, text } = await send()
    t.diagnostic(`${status} ${text.slice(0, 200)}`)
    assert.ok(statuses.includes(status), `${status}: ${text.slice(0, 300)}`)
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    assert.ok(error.code.length > 2)
    assert.ok(error.message.length > 15)
    assert.doesNotMatch(text, /node:internal|\.ts:\d+/)
    assert.equal(text.includes(genuine), false)
  })
}

test('Resource Manager: what was refused has left nothing behind', async () => {
  const listed = await ask('GET', `${group}/providers/Microsoft.CognitiveServices/accounts?api-version=2025-06-01`)
  assert.deepEqual((JSON.parse(listed.text) as { value: unknown[] }).value, [])
  const vaults = await ask('GET', `${group}/providers/Microsoft.KeyVault/vaults?api-version=2023-07-01`)
  assert.deepEqual((JSON.parse(vaults.text) as { value: unknown[] }).value, [])
  // The subdomain of refused accounts is free.
  assert.ok((await ask('PUT', account('fresh'), body(newAccount))).status < 300)
})

const login = (form: Record<string, string>, tenant = tenantId): Promise<Response> =>
  fetch(`${authority}/${tenant}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams(form) })
const credentials = {
  grant_type: 'client_credentials',
  client_id: administrator.clientId,
  client_secret: administrator.clientSecret,
  scope,
}

const logins: [what: string, error: string, form: Record<string, string>, tenant?: string][] = [
  ['a wrong secret', 'invalid_client', { ...credentials, client_secret: 'wrong' }],
  ['no secret', 'invalid_client', { grant_type: 'client_credentials', client_id: administrator.clientId, scope }],
  ['an unknown application', 'unauthorized_client', { ...credentials, client_id: randomUUID() }],
  ['no grant type', 'unsupported_grant_type', { ...credentials, grant_type: '' }],
  ['a grant type that is none', 'unsupported_grant_type', { ...credentials, grant_type: 'wish' }],
  ['no scope', 'invalid_request', { ...credentials, scope: '' }],
  ['a scope of nobody', 'invalid_resource', { ...credentials, scope: 'https://nowhere.example/.default' }],
  ['an unknown tenant', 'invalid_request', credentials, randomUUID()],
]

for (const [what, error, form, tenant] of logins) {
  test(`Entra: a login with ${what} is refused with ${error} and an AADSTS code`, async t => {
    const response = await login(form, tenant)
    const text = await response.text()
    t.diagnostic(`${response.status} ${text.slice(0, 220)}`)
    const answer = JSON.parse(text) as { error: string; error_description: string; error_codes: number[] }
    assert.ok([400, 401].includes(response.status))
    assert.equal(answer.error, error)
    assert.match(answer.error_description, /^AADSTS\d+: /)
    assert.ok(answer.error_codes.every(Number.isInteger))
    assert.equal(text.includes(administrator.clientSecret), false)
  })
}

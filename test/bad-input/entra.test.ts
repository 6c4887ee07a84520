import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { SignJWT } from 'jose'
import { ask, checkTells } from '../support/asking.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after }, ['--clock-control'])
const azure = await Azure.in(cloud.endpoints)
await azure.account('tokens')
await azure.vault('kv-tokens')
const { authority, resourceManager, subscriptionId, tenantId, administrator } = cloud.endpoints
const tokenFor = async (resource: string): Promise<string> =>
  (await azure.credential.getToken(`${resource}/.default`))?.token ?? ''

/** The answer of each plane to an unknown caller. */
interface Plane {
  readonly resource: string
  readonly url: string
  readonly challenge: RegExp
  /** Codes by what is wrong with the token. */
  readonly codes: { readonly none: string; readonly bad: string; readonly expired: string }
  readonly otherTenant: readonly [status: number, code: string]
}
const PLANES: Readonly<Record<string, Plane>> = {
  'Resource Manager': {
    resource: resourceManager,
    url: `${resourceManager}/subscriptions/${subscriptionId}/resourceGroups?api-version=2022-09-01`,
    challenge: new RegExp(`^Bearer authorization_uri="${authority}/`),
    codes: { none: 'AuthenticationFailed', bad: 'InvalidAuthenticationToken', expired: 'ExpiredAuthenticationToken' },
    otherTenant: [401, 'InvalidAuthenticationTokenTenant'],
  },
  'Key Vault': {
    resource: 'https://vault.azure.net',
    url: `${azure.vaultUri('kv-tokens')}keys?api-version=7.4`,
    challenge: new RegExp(`^Bearer authorization="${authority}/${tenantId}", resource="https://vault\\.`),
    codes: { none: 'Unauthorized', bad: 'Unauthorized', expired: 'Unauthorized' },
    otherTenant: [401, 'Unauthorized'],
  },
  'Azure OpenAI': {
    resource: 'https://cognitiveservices.azure.com',
    url: `https://tokens${cloud.endpoints.openAiSuffix}/openai/v1/models`,
    challenge: /^Bearer$/,
    codes: { none: '401', bad: '401', expired: '401' },
    otherTenant: [400, 'Tenant provided in token does not match resource token'],
  },
  'Microsoft Graph': {
    resource: 'https://graph.microsoft.com',
    url: `${authority}/v1.0/servicePrincipals?$top=1`,
    challenge: /^Bearer$/,
    codes: {
      none: 'InvalidAuthenticationToken',
      bad: 'InvalidAuthenticationToken',
      expired: 'ExpiredAuthenticationToken',
    },
    otherTenant: [200, ''],
  },
}
const planes = Object.entries(PLANES)
const genuine = new Map<string, string>()
for (const [, { resource }] of planes) genuine.set(resource, await tokenFor(resource))
const SECRETS = [administrator.clientSecret, administrator.password, ...genuine.values()]

const decode = (part = ''): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString())
const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const jwks = JSON.parse((await ask({ url: `${authority}/common/discovery/keys` })).text) as { keys: { n: string }[] }
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

/** A genuine token with the changes of known attacks. */
const FORGERIES: Readonly<Record<string, (token: string) => string | Promise<string>>> = {
  'that is not a token': () => 'a.b.c',
  'that is one word': () => 'token',
  'of many parts': token => `${token}.${token}`,
  'without a signature': token => token.slice(0, token.lastIndexOf('.') + 1),
  'with half a signature': token => token.slice(0, -171),
  'with another signature': token => `${token.slice(0, -20)}${'A'.repeat(20)}`,
  'with alg none': token => {
    const [head, claims] = token.split('.')
    return `${encode({ ...decode(head), alg: 'none' })}.${claims}.`
  },
  'with alg NONE in capitals': token => {
    const [head, claims] = token.split('.')
    return `${encode({ ...decode(head), alg: 'NONE' })}.${claims}.AAAA`
  },
  'signed with the public key as a secret': token => {
    const [head, claims] = token.split('.')
    const text = `${encode({ ...decode(head), alg: 'HS256' })}.${claims}`
    return `${text}.${createHmac('sha256', jwks.keys[0]?.n ?? '')
      .update(text)
      .digest('base64url')}`
  },
  'signed by somebody else': token => resigned(token, {}),
  'that brings its own key along': token =>
    resigned(token, {}, { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, jku: 'https://evil.example/keys' }),
  'with a key id that climbs': token => resigned(token, {}, { kid: '../../root.key' }),
  'with more rights written into it': token => {
    const [head, claims, signature] = token.split('.')
    return `${head}.${encode({ ...decode(claims), oid: randomUUID(), roles: ['Owner'] })}.${signature}`
  },
  'of 20 kB': token => `${token}${'A'.repeat(20_000)}`,
}

function resigned(token: string, change: object, header: object = {}): Promise<string> {
  const [head, claims] = token.split('.')
  return new SignJWT({ ...decode(claims), ...change })
    .setProtectedHeader({ ...decode(head), ...header, alg: 'RS256' })
    .sign(stranger)
}

async function refused(plane: Plane, authorization: string | undefined, code: string, status = 401): Promise<string> {
  const headers = authorization === undefined ? {} : { authorization }
  const answer = await ask({ url: plane.url, headers: { ...headers, 'x-ms-client-request-id': 'abc' } })
  const { error } = JSON.parse(answer.text) as { error: { code: string; message: string } }
  assert.deepEqual([answer.status, error.code], [status, code], answer.text.slice(0, 300))
  assert.ok(error.message.length > 15)
  if (status === 401) assert.match(String(answer.headers['www-authenticate']), plane.challenge)
  checkTells(answer.text, SECRETS)
  return error.message
}

for (const [name, plane] of planes) {
  const token = genuine.get(plane.resource) ?? ''

  test(`${name} lets nobody in without a token of its own, and says where to get one`, async () => {
    assert.equal((await ask({ url: plane.url, headers: { authorization: `Bearer ${token}` } })).status, 200)
    assert.equal((await ask({ url: plane.url, headers: { authorization: `bearer  ${token}` } })).status, 200)
    for (const authorization of [undefined, '', 'Bearer', 'Bearer ', 'Negotiate abc', `Basic ${btoa('a:b')}`])
      await refused(plane, authorization, plane.codes.none)
  })

  for (const [what, forge] of Object.entries(FORGERIES)) {
    test(`${name} refuses a token ${what}`, async () => {
      const forged = await forge(token)
      const message = await refused(plane, `Bearer ${forged}`, plane.codes.bad)
      if (forged.length > 20) assert.equal(message.includes(forged.slice(0, 40)), false, 'the token is repeated')
    })
  }

  test(`${name} refuses every other service's token`, async () => {
    for (const [other, { resource }] of planes) {
      // Graph accepts Resource Manager's token, since some clients get only that one.
      if (other === name || (name === 'Microsoft Graph' && other === 'Resource Manager')) continue
      await refused(plane, `Bearer ${genuine.get(resource)}`, plane.codes.bad)
    }
  })
}

const stranger2 = await anotherTenant()

test('a token of another tenant opens nothing here, on any plane, and Graph shows it its own tenant only', async () => {
  for (const [, plane] of planes) {
    const token = await login({ ...stranger2, resource: plane.resource })
    const [status, code] = plane.otherTenant
    if (status !== 200) {
      await refused(plane, `Bearer ${token}`, code, status)
      continue
    }
    const { text } = await ask({
      url: `${authority}/v1.0/servicePrincipals`,
      headers: { authorization: `Bearer ${token}` },
    })
    const { value } = JSON.parse(text) as { value: { appOwnerOrganizationId: string }[] }
    assert.ok(value.length > 0)
    for (const { appOwnerOrganizationId } of value) assert.equal(appOwnerOrganizationId, stranger2.tenant)
  }
})

async function anotherTenant(): Promise<{ tenant: string; id: string; secret: string }> {
  const answer = await ask({
    method: 'POST',
    url: `${resourceManager}/providers/OwnKey.Directory/tenants?api-version=2024-01-01`,
    headers: { authorization: `Bearer ${genuine.get(resourceManager)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ properties: { displayName: 'Strangers' } }),
  })
  assert.equal(answer.status, 201, answer.text)
  const { properties } = JSON.parse(answer.text) as {
    properties: { tenantId: string; administrator: { clientId: string; clientSecret: string } }
  }
  return {
    tenant: properties.tenantId,
    id: properties.administrator.clientId,
    secret: properties.administrator.clientSecret,
  }
}

async function login(given: { tenant: string; id: string; secret: string; resource: string }): Promise<string> {
  const { tenant, id, secret, resource } = given
  const answer = await send({ client_id: id, client_secret: secret, scope: `${resource}/.default` }, tenant)
  return (JSON.parse(answer.text) as { access_token: string }).access_token
}

const good = {
  grant_type: 'client_credentials',
  client_id: administrator.clientId,
  client_secret: administrator.clientSecret,
  scope: 'https://vault.azure.net/.default',
}
const FORM = 'application/x-www-form-urlencoded'

const send = (form: Record<string, string>, tenant = tenantId, version = '/v2.0') =>
  post(String(new URLSearchParams({ grant_type: 'client_credentials', ...form })), { tenant, version })

function post(body: string, { tenant = tenantId, version = '/v2.0', type = FORM } = {}) {
  const url = `${authority}/${encodeURIComponent(tenant)}/oauth2${version}/token`
  return ask({ method: 'POST', url, headers: { 'content-type': type, 'client-request-id': 'my-request' }, body })
}

const without = (name: keyof typeof good): Record<string, string> =>
  Object.fromEntries(Object.entries(good).filter(([key]) => key !== name))
const encoded = String(new URLSearchParams(good))

interface Login {
  readonly what: string
  readonly status: number
  readonly error: string
  readonly number: number
  readonly attempt: () => ReturnType<typeof ask>
}
const refusal = (what: string, status: number, error: string, number: number, attempt: Login['attempt']): Login => ({
  what,
  status,
  error,
  number,
  attempt,
})

const LOGINS: readonly Login[] = [
  refusal('no secret', 401, 'invalid_client', 7000218, () =>
    post(String(new URLSearchParams(without('client_secret')))),
  ),
  refusal('an empty secret', 401, 'invalid_client', 7000218, () => send({ ...good, client_secret: '' })),
  refusal('a wrong secret', 401, 'invalid_client', 7000215, () => send({ ...good, client_secret: 'wrong' })),
  refusal('a secret of 10 kB', 401, 'invalid_client', 7000215, () =>
    send({ ...good, client_secret: 'x'.repeat(10_000) }),
  ),
  refusal('no client id', 400, 'invalid_request', 900144, () =>
    post(String(new URLSearchParams(without('client_id')))),
  ),
  refusal('an unknown client id', 400, 'unauthorized_client', 700016, () => send({ ...good, client_id: randomUUID() })),
  refusal('a client id with a zero byte', 400, 'unauthorized_client', 700016, () =>
    send({ ...good, client_id: 'a\0b' }),
  ),
  refusal('a client id of 10 kB', 400, 'unauthorized_client', 700016, () =>
    send({ ...good, client_id: 'x'.repeat(10_000) }),
  ),
  refusal("another tenant's client id", 400, 'unauthorized_client', 700016, () =>
    send({ ...good, client_id: stranger2.id }),
  ),
  refusal('no grant type', 400, 'invalid_request', 900144, () =>
    post(String(new URLSearchParams(without('grant_type')))),
  ),
  refusal('an unknown grant type', 400, 'unsupported_grant_type', 70003, () => send({ ...good, grant_type: 'wish' })),
  refusal('the grant type password', 400, 'unsupported_grant_type', 70003, () =>
    send({ ...good, grant_type: 'password' }),
  ),
  refusal('no scope', 400, 'invalid_request', 900144, () => post(String(new URLSearchParams(without('scope'))))),
  refusal('a scope without /.default', 400, 'invalid_scope', 1002012, () =>
    send({ ...good, scope: 'https://vault.azure.net/keys' }),
  ),
  refusal('two resources in its scope', 400, 'invalid_scope', 1002012, () =>
    send({ ...good, scope: 'https://vault.azure.net/.default https://management.azure.com/.default' }),
  ),
  refusal('a scope of nobody', 400, 'invalid_resource', 500011, () =>
    send({ ...good, scope: 'https://nowhere.example/.default' }),
  ),
  refusal('an unknown tenant', 400, 'invalid_request', 90002, () => send(good, randomUUID())),
  refusal('a tenant that is not an id', 400, 'invalid_request', 90002, () => send(good, 'contoso.example')),
  refusal('a parameter twice', 400, 'invalid_request', 9000411, () => post(`${encoded}&client_id=x`)),
  refusal('JSON for a form', 400, 'invalid_request', 900144, () =>
    post(JSON.stringify(good), { type: 'application/json' }),
  ),
  refusal('an empty body', 400, 'invalid_request', 900144, () => post('')),
]

for (const { what, status, error, number, attempt } of LOGINS) {
  test(`a login with ${what} is refused as Entra does: ${error}, AADSTS${number}`, async () => {
    const answer = await attempt()
    const body = JSON.parse(answer.text) as Record<string, unknown>
    assert.deepEqual([answer.status, body['error'], body['error_codes']], [status, error, [number]], answer.text)
    assert.match(String(body['error_description']), new RegExp(`^AADSTS${number}: .{15,} Trace ID: [0-9a-f-]{36} `))
    assert.match(String(body['timestamp']), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/)
    assert.deepEqual([body['correlation_id'], body['access_token']], ['my-request', undefined])
    assert.match(String(answer.headers['cache-control']), /no-store/)
    checkTells(answer.text, SECRETS)
  })
}

test('a body beyond 64 kB, another method and another path have the form of RFC 6749 too', async () => {
  const answers = [
    await post(`${encoded}&x=${'y'.repeat(70_000)}`),
    await ask({ url: `${authority}/${tenantId}/oauth2/v2.0/token` }),
    await ask({ url: `${authority}/${tenantId}/nothing` }),
  ]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [413, 405, 404],
  )
  for (const { text } of answers) {
    const body = JSON.parse(text) as Record<string, unknown>
    assert.equal(body['error'], 'invalid_request')
    assert.ok(String(body['error_description']).length > 20)
  }
})

test('the v1 endpoint asks for a resource, in the same form', async () => {
  const { scope: _, ...rest } = good
  const answer = await send(rest, tenantId, '')
  assert.deepEqual([answer.status, (JSON.parse(answer.text) as { error_codes: number[] }).error_codes], [400, [900144]])
})

test('guessing secrets locks nobody out', async () => {
  for (let attempt = 0; attempt < 12; attempt++) {
    const wrong = await send({ ...stranger2Form(), client_secret: `guess ${attempt}` }, stranger2.tenant)
    assert.deepEqual(
      [wrong.status, (JSON.parse(wrong.text) as { error_codes: number[] }).error_codes],
      [401, [7000215]],
    )
  }
  assert.equal((await send(stranger2Form(), stranger2.tenant)).status, 200)
})

const stranger2Form = () => ({ ...good, client_id: stranger2.id, client_secret: stranger2.secret })

test('a token that has expired is refused on every plane, with the code that makes clients log in again', async () => {
  const moved = await ask({
    method: 'PUT',
    url: `${resourceManager}/ownkey/clock`,
    headers: { authorization: `Bearer ${genuine.get(resourceManager)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ advanceSeconds: 7200 }),
  })
  assert.equal(moved.status, 200, moved.text)
  for (const [, plane] of planes) await refused(plane, `Bearer ${genuine.get(plane.resource)}`, plane.codes.expired)
})

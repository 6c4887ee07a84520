import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ask, askRaw, checkTells } from '../support/asking.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('limits')
await azure.vault('kv-limits')
const { authority, resourceManager, subscriptionId, tenantId, administrator, location } = cloud.endpoints
const key = String(account.openai.apiKey)
const openai = `https://limits${cloud.endpoints.openAiSuffix}`
const bearer = async (resource: string): Promise<Record<string, string>> => ({
  authorization: `Bearer ${(await azure.credential.getToken(`${resource}/.default`))?.token ?? ''}`,
})
const management = await bearer(resourceManager)
const vault = await bearer('https://vault.azure.net')

/** A route with a body on each plane; `limit` is what its record says. */
interface Door {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly limit: number
  readonly badBody: string
  readonly good: object
}
const accountUrl = `${resourceManager}/subscriptions/${subscriptionId}${azure.accountPath('limits')}?api-version=2025-06-01`
const DOORS: Readonly<Record<string, Door>> = {
  'Resource Manager': {
    method: 'PATCH',
    url: accountUrl,
    headers: management,
    limit: 256 * 1024,
    badBody: 'InvalidRequestContent',
    good: { tags: { a: 'b' } },
  },
  'Key Vault': {
    method: 'POST',
    url: `${azure.vaultUri('kv-limits')}keys/k/create?api-version=7.4`,
    headers: vault,
    limit: 64 * 1024,
    badBody: 'BadParameter',
    good: { kty: 'EC', crv: 'P-256' },
  },
  'Azure OpenAI, authoring': {
    method: 'POST',
    url: `${openai}/openai/v1/fine_tuning/jobs`,
    headers: { 'api-key': key },
    limit: 64 * 1024,
    badBody: 'invalidPayload',
    good: {},
  },
  'Azure OpenAI, inference': {
    method: 'POST',
    url: `${openai}/openai/v1/chat/completions`,
    headers: { 'api-key': key },
    limit: 4 * 1024 * 1024,
    badBody: 'invalidPayload',
    good: {},
  },
}
const JSON_TYPE = { 'content-type': 'application/json' }

function codeOf(text: string): string {
  checkTells(text, [key, administrator.clientSecret, management['authorization'] ?? ''])
  const { error } = JSON.parse(text) as { error: { code: string; message: string } }
  assert.ok(error.message.length > 15, text)
  return error.code
}

for (const [name, door] of Object.entries(DOORS)) {
  const { method, url, headers, limit, badBody } = door
  const send = (body: string | Buffer, more: Record<string, string> = {}, announce?: number) =>
    ask({ method, url, headers: { ...headers, ...JSON_TYPE, ...more }, body, ...(announce && { announce }) })

  test(`${name}: a body of more than ${limit} bytes is refused, announced or counted`, async () => {
    const large = JSON.stringify({ ...door.good, x: 'y'.repeat(limit) })
    for (const answer of [
      await send(large),
      await send(large, { 'transfer-encoding': 'chunked' }),
      await send('', {}, 10 ** 12),
    ])
      assert.deepEqual([answer.status, codeOf(answer.text)], [413, 'RequestEntityTooLarge'])
  })

  test(`${name}: a body that is not JSON, too deep, or not an object is refused`, async () => {
    const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
    const bodies = [
      '{',
      '{"a":1}}',
      'tags',
      "{'a':1}",
      '{"a":NaN}',
      '\0',
      '[]',
      'null',
      '7',
      '"text"',
      deep(5000),
      deep(65),
    ]
    for (const body of [...bodies, '['.repeat(10_000), `{"a":"${'\\'.repeat(9)}`, '']) {
      const answer = await send(body)
      const code = codeOf(answer.text)
      assert.equal(answer.status, 400, body.slice(0, 30))
      assert.ok([badBody, 'invalid_type', 'InvalidRequestContent'].includes(code), `${body.slice(0, 30)}: ${code}`)
    }
    for (const bytes of [Buffer.from([0xff, 0xfe, 0x7b, 0]), Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d])])
      assert.equal((await send(bytes)).status, 400)
  })

  test(`${name}: another content type is refused, and so is a content encoding`, async () => {
    const body = JSON.stringify(door.good)
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b',
      'application/jsonx',
      'text/json-not',
      ' ',
    ])
      assert.deepEqual([type, (await send(body, { 'content-type': type })).status], [type, 415])
    const packed = gzipSync(Buffer.alloc(8 * 1024 * 1024, ' '))
    const answer = await send(packed, { 'content-encoding': 'gzip' })
    assert.deepEqual([answer.status, codeOf(answer.text)], [415, 'UnsupportedMediaType'])
  })

  test(`${name}: headers of more than 32 kB are refused`, async () => {
    const answer = await ask({ method, url, headers: { ...headers, 'x-more': 'y'.repeat(40_000) } })
    assert.deepEqual([answer.status, answer.text], [431, ''])
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`x-${n}`, 'y'.repeat(8)]))
    assert.equal((await ask({ method, url, headers: { ...headers, ...many } })).status, 431)
  })

  test(`${name}: a path that is too long, malformed, or climbs is refused`, async () => {
    const { origin } = new URL(url)
    const paths = [
      '/a/../b',
      '/a/%2e%2E/b',
      '/..',
      `/${'a'.repeat(500)}`,
      '/a%00b',
      '/%E0%A4%A',
      '/a\\b',
      '/%',
      '/a%0d%0ab',
    ]
    for (const path of paths) {
      const answer = await ask({ method, url: `${origin}${path}`, headers })
      assert.deepEqual([path, answer.status, codeOf(answer.text)], [path, 400, 'InvalidRequestUri'])
    }
    const long = await ask({ method, url: `${origin}/a?${'x=y&'.repeat(6000)}`, headers })
    assert.equal(long.status, 404)
  })

  test(`${name}: an unknown path is 404, another method is 405 and names the allowed ones`, async () => {
    const { origin, pathname, search } = new URL(url)
    const unknown = await ask({ method, url: `${origin}/nothing/at/all`, headers })
    assert.equal(unknown.status, 404)
    assert.ok(codeOf(unknown.text).length > 2)
    const other = await ask({ method: 'OPTIONS', url: `${origin}${pathname}${search}`, headers: {} })
    assert.ok(String(other.headers['allow']).includes(method))
    for (const wrong of ['TRACE', 'PROPFIND']) {
      const answer = await ask({ method: wrong, url: `${origin}${pathname}${search}`, headers })
      assert.deepEqual([answer.status, codeOf(answer.text)], [405, 'MethodNotAllowed'])
      assert.ok(String(answer.headers['allow']).includes(method))
    }
  })
}

test('requests that two servers could read in two ways are refused', async () => {
  const host = new URL(openai).host
  const target = '/openai/v1/models'
  const lines = (...more: string[]): string => `GET ${target} HTTP/1.1\r\n${more.join('\r\n')}\r\n\r\n`
  const wrong: readonly [what: string, bytes: string][] = [
    ['no Host', lines('Connection: close')],
    ['two lengths', lines(`Host: ${host}`, 'Content-Length: 5', 'Content-Length: 6')],
    ['a length and chunks', lines(`Host: ${host}`, 'Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['a length that is not a number', lines(`Host: ${host}`, 'Content-Length: 5x')],
    ['a negative length', lines(`Host: ${host}`, 'Content-Length: -5')],
    ['a folded header', lines(`Host: ${host}`, 'X-A: b', ' c')],
    ['a space before the colon', lines(`Host: ${host}`, 'X-A : b')],
    ['a header with a zero byte', lines(`Host: ${host}`, 'X-A: b\0c')],
    ['an unknown encoding', `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: wrong\r\n\r\n`],
    ['a word for a method', `GRAB ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
    ['a whole address for a path', `GET https://evil.example/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
    ['HTTP/2 without being asked', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a fragment', `GET ${target}#a HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
  ]
  for (const [what, bytes] of wrong) {
    const status = await askRaw(openai, bytes)
    assert.ok([0, 400, 401, 404, 405, 417, 501, 505].includes(status), `${what}: ${status}`)
    assert.ok(status !== 401 || what === 'a fragment', `${what} came as far as authentication`)
  }
})

test('a host that is not served is a 404 in plain words, whoever asks', async () => {
  for (const host of [
    'localhost',
    'evil.example',
    'a.b.openai.localhost',
    '-.openai.localhost',
    `${'a'.repeat(64)}.openai.localhost`,
    '127.0.0.1',
    '[::1]',
    'limits.openai.localhost.evil.example',
  ]) {
    const { status, text } = await ask({ url: `${openai}/openai/v1/models`, headers: { host, 'api-key': key } })
    assert.equal(status, 404, host)
    assert.match(text, /Hosts of this service: login\.localhost/)
  }
  const { status, text } = await ask({
    url: `${openai}/openai/v1/models`,
    headers: { host: 'nobody.openai.localhost', 'api-key': key },
  })
  assert.deepEqual([status, codeOf(text)], [404, '404'])
})

test('members that would pollute the prototype of objects have no effect', async () => {
  const body = `{"location":"${location}","tags":{"__proto__":"x","constructor":"y","a":"b"},"__proto__":{"sku":{"name":"F9"}},"properties":{"__proto__":{"disableLocalAuth":true}}}`
  const answer = await ask({ method: 'PATCH', url: accountUrl, headers: { ...management, ...JSON_TYPE }, body })
  assert.ok([200, 400].includes(answer.status), answer.text)
  const read = JSON.parse((await ask({ url: accountUrl, headers: management })).text) as {
    sku: object
    properties: { disableLocalAuth: boolean }
  }
  assert.deepEqual([read.sku, read.properties.disableLocalAuth], [{ name: 'S0' }, false])
})

test('a hundred refusals at a time leave the service as quick as before', async () => {
  const began = performance.now()
  const wrong = Array.from({ length: 100 }, (_, n) =>
    ask({ url: `${openai}/openai/v1/models`, headers: { 'api-key': `wrong-${n}` } }),
  )
  const login = `grant_type=client_credentials&client_id=${administrator.clientId}&client_secret=wrong&scope=https://vault.azure.net/.default`
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const logins = Array.from({ length: 20 }, () =>
    ask({ method: 'POST', url: `${authority}/${tenantId}/oauth2/v2.0/token`, headers, body: login }),
  )
  for (const { status } of await Promise.all(wrong)) assert.equal(status, 401)
  for (const { status } of await Promise.all(logins)) assert.ok([401, 429, 503].includes(status), String(status))
  assert.ok(performance.now() - began < 15_000)
  assert.equal((await ask({ url: `${openai}/openai/v1/models`, headers: { 'api-key': key } })).status, 200)
})

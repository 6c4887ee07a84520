import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { AzureError } from './errors.ts'
import { ask, startListening, type Listening } from './listening.fixture.ts'
import { json, text } from './respond.ts'
import type { Call, HostName, Route } from './route.ts'

const reason = 'a test asks nobody'

function route(method: Route['method'], host: HostName, path: string, handler: Route['handler'], maxBody = 0): Route {
  return { method, host, path, auth: 'none', reason, maxBody, handler }
}

const echo = (call: Call) =>
  json({
    label: call.label,
    origin: call.origin,
    params: call.params,
    query: [...call.query],
    peer: call.peer,
    via: call.via,
    url: call.url.pathname,
  })

const routes: Route[] = [
  route('GET', 'vault', '/keys/:name/:version', echo),
  route('POST', 'vault', '/keys/restore', echo),
  route('HEAD', 'vault', '/keys/:name', () => text('')),
  route('GET', 'management', '/:scope*/providers/microsoft.authorization/roleassignments', echo),
  route(
    'POST',
    'openai',
    '/json',
    async call => json(await call.json(z.object({ a: z.object({ b: z.number() }) }))),
    100,
  ),
  route('POST', 'management', '/json', async call => json(await call.json(z.object({ a: z.number() }))), 100_000),
  route(
    'POST',
    'management',
    '/bytes',
    async call => {
      let length = 0
      for await (const chunk of call.body()) length += (chunk as Buffer).length
      return json({ length })
    },
    1_000_000,
  ),
  route('GET', 'openai', '/denied', () => {
    throw new AzureError('CustomerManagedKeyUnavailable', 403, 'No key.', { innererror: { code: 'KeyDisabled' } })
  }),
  route('GET', 'management', '/broken', () => {
    throw new Error('the password is hunter2')
  }),
  { method: 'GET', host: 'vault', path: '/private', auth: 'vault', maxBody: 0, handler: call => json(call.caller) },
  route('GET', 'portal', '/', () => text('portal')),
]

describe('listener', () => {
  let server: Listening
  before(async () => {
    server = await startListening(routes, {
      vault: async call => {
        if (call.headers.get('authorization') !== 'Bearer good') throw new AzureError('Unauthorized', 401, 'Who?')
        return { type: 'key', account: 'a' }
      },
    })
  })
  after(async () => server.close())
  const get = async (host: string, path: string, headers: Record<string, string> = {}) =>
    ask(server, { host, path, headers })

  it('matches paths in any case, collapses slashes, decodes query names, keeps the letters of parameters', async () => {
    const reply = await get('My-Kv.vault.localhost', '//KEYS///MyKey/V1/?api%2DVersion=7.4&a=1&A=2')
    assert.equal(reply.status, 200)
    assert.deepEqual(JSON.parse(reply.body), {
      label: 'my-kv',
      origin: `https://my-kv.vault.localhost:${server.listener.port}`,
      params: { name: 'MyKey', version: 'V1' },
      query: [
        ['api-version', '7.4'],
        ['a', '2'],
      ],
      peer: '127.0.0.1',
      via: 'network',
      url: '/KEYS/MyKey/V1/',
    })
  })

  it('builds the origin from the port the client used, on IPv6 too', async () => {
    const headers = { host: 'kv.vault.localhost:1234' }
    const reply = await ask(server, { host: 'kv.vault.localhost', path: '/keys/a%2Fb/c', headers, family: 6 })
    const body = JSON.parse(reply.body) as Record<string, unknown>
    assert.equal(body['origin'], 'https://kv.vault.localhost:1234')
    assert.equal(body['peer'], '::1')
    assert.deepEqual(body['params'], { name: 'a/b', version: 'c' })
  })

  it('takes scopes of any depth before a fixed end', async () => {
    const reply = await get(
      'management.localhost',
      '/subscriptions/S/resourceGroups/g/providers/Microsoft.Authorization/roleAssignments',
    )
    assert.equal(
      (JSON.parse(reply.body) as { params: { scope: string } }).params.scope,
      'subscriptions/S/resourceGroups/g',
    )
  })

  it('answers unknown hosts, unknown paths and other methods in clear words', async () => {
    const host = await get('login.localhost', '/', { host: 'example.localhost' })
    assert.equal(host.status, 404)
    assert.match(host.body, /login\.localhost, management\.localhost/)
    const path = await get('kv.vault.localhost', '/nothing')
    assert.equal(path.status, 404)
    assert.equal((JSON.parse(path.body) as { error: { code: string } }).error.code, 'NotFound')
    const method = await ask(server, { host: 'kv.vault.localhost', path: '/keys/a/b', method: 'DELETE' })
    assert.equal(method.status, 405)
    assert.equal(method.headers.allow, 'GET')
    assert.equal((await ask(server, { host: 'kv.vault.localhost', path: '/keys/restore', method: 'HEAD' })).status, 200)
    assert.equal((await ask(server, { host: 'kv.vault.localhost', path: '/private', method: 'HEAD' })).status, 405)
    for (const target of ['/keys/%E0%A4%A/b', '/keys\\a'])
      assert.equal((await get('kv.vault.localhost', target)).status, 400)
  })

  it('refuses paths with control characters, and with parts that no name can be', async () => {
    for (const path of [
      '/keys/a/..',
      '/keys/%2E%2e/1',
      '/keys/./1',
      '/keys/a%00b/1',
      '/keys/a%0ab/1',
      `/keys/${'a'.repeat(401)}/1`,
      `/keys/${'%C3%A9'.repeat(201)}/1`,
    ]) {
      const answer = await get('kv.vault.localhost', path)
      assert.equal(answer.status, 400, path)
      assert.equal((JSON.parse(answer.body) as { error: { code: string } }).error.code, 'InvalidRequestUri')
    }
  })

  it('marks every response with request ids and the headers that keep it private', async () => {
    const reply = await get('a.openai.localhost', '/denied', {
      'x-ms-client-request-id': 'abc-1',
      'client-request-id': '<x>',
    })
    const id = reply.headers['x-ms-request-id']
    assert.match(String(id), /^[0-9a-f-]{36}$/)
    assert.equal(reply.headers['x-request-id'], id)
    assert.equal(reply.headers['apim-request-id'], id)
    assert.equal(reply.headers['x-ms-client-request-id'], 'abc-1')
    assert.equal(reply.headers['client-request-id'], undefined)
    assert.equal(reply.headers['x-content-type-options'], 'nosniff')
    assert.equal(reply.headers['cache-control'], 'no-store')
  })

  it('tells openai clients not to retry a refusal', async () => {
    const reply = await get('a.openai.localhost', '/denied')
    assert.equal(reply.status, 403)
    assert.equal(reply.headers['x-should-retry'], 'false')
    const { error } = JSON.parse(reply.body) as { error: Record<string, unknown> }
    assert.deepEqual(error, {
      message: 'No key.',
      type: 'permission_error',
      param: null,
      code: 'CustomerManagedKeyUnavailable',
      innererror: { code: 'KeyDisabled' },
    })
  })

  it('gives nothing but the request id of an unexpected error, whose stack is in the log', async () => {
    const reply = await get('management.localhost', '/broken?secret=1')
    assert.equal(reply.status, 500)
    assert.ok(!reply.body.includes('hunter2'))
    const line = server.lines.find(entry => entry.requestId === reply.headers['x-ms-request-id'])
    assert.match(line?.fault ?? '', /hunter2[\s\S]*listen\.test/)
    assert.equal(line?.path, '/broken')
  })

  it('authenticates the caller before it looks at anything else', async () => {
    const anonymous = await get('kv.vault.localhost', '/private')
    assert.equal(anonymous.status, 401)
    assert.equal(anonymous.headers['www-authenticate'], 'Bearer')
    const known = await get('kv.vault.localhost', '/private', { authorization: 'Bearer good' })
    assert.deepEqual(JSON.parse(known.body), { type: 'key', account: 'a' })
  })

  it('lets pages of the portal call the APIs, and no other page', async () => {
    const preflight = async (origin: string) =>
      ask(server, {
        host: 'kv.vault.localhost',
        path: '/private',
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization' },
      })
    const portal = `https://portal.localhost:${server.listener.port}`
    const allowed = await preflight(portal)
    assert.equal(allowed.status, 204)
    assert.equal(allowed.headers['access-control-allow-origin'], portal)
    assert.equal(allowed.headers['access-control-allow-headers'], 'authorization')
    const refused = await preflight('https://evil.example')
    assert.equal(refused.headers['access-control-allow-origin'], undefined)
  })
})

describe('request bodies', () => {
  let server: Listening
  before(async () => {
    server = await startListening(routes)
  })
  after(async () => server.close())
  const post = async (host: string, path: string, body: string | Buffer, headers: Record<string, string> = {}) =>
    ask(server, { host, path, method: 'POST', body, headers })

  it('names the field that does not fit, with the code of the plane', async () => {
    const openai = await post('a.openai.localhost', '/json', '{"a":{"b":"x"}}')
    assert.equal(openai.status, 400)
    const { error } = JSON.parse(openai.body) as { error: Record<string, string> }
    assert.equal(error['code'], 'invalidPayload')
    assert.equal(error['param'], 'a.b')
    const arm = await post('management.localhost', '/json', '{}')
    assert.equal(
      (JSON.parse(arm.body) as { error: { code: string; target: string } }).error.code,
      'InvalidRequestContent',
    )
    for (const bad of ['{', '', Buffer.from('{"a":"\xff"}', 'latin1')]) {
      assert.equal((await post('management.localhost', '/json', bad)).status, 400)
    }
  })

  it('refuses bodies that are too large, announced or counted, and too deep', async () => {
    const announced = await post('a.openai.localhost', '/json', 'x'.repeat(101))
    assert.equal(announced.status, 413)
    const counted = await post('management.localhost', '/bytes', 'x'.repeat(1_000_001), {
      'transfer-encoding': 'chunked',
    })
    assert.equal(counted.status, 413)
    const deep = await post('management.localhost', '/json', '['.repeat(65) + ']'.repeat(65))
    assert.match(deep.body, /64 levels/)
    assert.equal((await post('management.localhost', '/json', '{"a":1}', { 'content-encoding': 'gzip' })).status, 415)
  })

  it('gives an early answer to a client that still sends a large body', async () => {
    const reply = await post('a.openai.localhost', '/json', Buffer.alloc(8 * 1024 * 1024))
    assert.equal(reply.status, 413)
    assert.equal(reply.complete, true)
  })

  it('invites a client that asks first only when the body is wanted', async () => {
    const reply = await post('management.localhost', '/bytes', 'x'.repeat(5000), { expect: '100-continue' })
    assert.deepEqual(JSON.parse(reply.body), { length: 5000 })
  })
})

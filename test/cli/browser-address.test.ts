import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { request as plainRequest, type IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const { port, caCertificate, portal } = cloud.endpoints
const ca = await readFile(caCertificate, 'utf8')

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

function ask(url: string, method = 'GET', headers: Readonly<Record<string, string>> = {}, body = ''): Promise<Answer> {
  const { protocol, hostname, pathname, search, host } = new URL(url)
  const address = hostname.startsWith('[') ? '::1' : '127.0.0.1'
  const options = { host: address, port, method, path: pathname + search, headers: { host, ...headers }, agent: false }
  return new Promise((resolve, reject) => {
    const take = (response: import('node:http').IncomingMessage): void => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
    }
    const sent =
      protocol === 'http:' ? plainRequest(options, take) : request({ ...options, ca, servername: 'localhost' }, take)
    sent.once('error', reject)
    sent.end(body)
  })
}

/** The answer to raw bytes; with `open` the request is not ended. */
function raw(bytes: Buffer | string): Promise<{ text: string; ms: number }> {
  const started = performance.now()
  return new Promise(resolve => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.once('close', () => resolve({ text, ms: performance.now() - started }))
  })
}

test('what people type into a browser leads to the portal: localhost and 127.0.0.1, over HTTP and HTTPS', async () => {
  for (const name of ['localhost', 'LOCALHOST', '127.0.0.1', '[::1]'])
    for (const scheme of ['http', 'https'])
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, body } = await ask(`${scheme}://${name}:${port}/`, method)
        assert.equal(status, 302, `${scheme} ${name}`)
        assert.equal(headers.location, `${portal}/`)
        assert.equal(headers['cache-control'], 'no-store', 'localhost:PORT is another program tomorrow')
        if (method === 'HEAD') assert.equal(body, '')
      }
  const { status, headers } = await ask(`${portal}/`)
  assert.ok(status === 200 || status === 404, 'the portal itself, where it was built')
  assert.equal(headers.location, undefined)
})

test('a forwarded port stays in the address', async () => {
  for (const scheme of ['http', 'https']) {
    const { headers } = await ask(`${scheme}://localhost:${port}/`, 'GET', { host: 'localhost:9443' })
    assert.equal(headers.location, 'https://portal.localhost:9443/')
  }
})

test('plain HTTP to a host of the service gets the same address over HTTPS, and never data', async () => {
  const { status, headers } = await ask(`http://management.localhost:${port}/subscriptions?api-version=2022-12-01`)
  assert.equal(status, 302)
  assert.equal(headers.location, `https://management.localhost:${port}/subscriptions?api-version=2022-12-01`)
  for (const host of [
    'evil.example',
    'evil.example:443',
    'localhost.evil.example',
    'a b',
    '',
    'portal.localhost@evil.example',
  ]) {
    const answer = await ask(`http://localhost:${port}/`, 'GET', { host })
    assert.equal(new URL(answer.headers.location ?? '').host, `portal.localhost:${port}`, host)
  }
  const odd = await raw(`GET /a\u0001b HTTP/1.1\r\nHost: portal.localhost:${port}\r\n\r\n`)
  assert.match(odd.text, new RegExp(`\r\nLocation: https://portal\\.localhost:${port}/\r\n`))
})

test('other methods over plain HTTP are refused with where to go, also while a body is still sent', async () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const answer = await ask(`http://contoso.openai.localhost:${port}/openai/files`, method, {}, 'x'.repeat(30_000))
    assert.equal(answer.status, 400, method)
    assert.equal(answer.headers.location, undefined)
    assert.equal(answer.body, `This port speaks HTTPS alone. Use https://contoso.openai.localhost:${port} instead.\n`)
  }
})

test('only the root of the bare address over HTTPS leads to the portal', async () => {
  for (const [method, path] of [
    ['GET', '/openai/files'],
    ['POST', '/'],
  ] as const) {
    const { status, body } = await ask(`https://localhost:${port}${path}`, method)
    assert.equal(status, 404, `${method} ${path}`)
    assert.match(body, /Nothing is served under localhost:\d+\. Hosts of this service: login\.localhost/)
  }
})

test('a connection without HTTP, or whose request never ends or begins, is cut off within seconds', async () => {
  const [garbage, huge, slow, silent] = await Promise.all([
    raw(Buffer.from([0x00, 0x01, 0x02, 0x03, 0x04])),
    raw(`GET /${'a'.repeat(20_000)}`),
    raw('GET / HT'),
    raw(''),
  ])
  assert.doesNotMatch(garbage.text, /HTTP/)
  assert.match(huge.text, /^HTTP\/1\.1 400 /)
  for (const { text, ms } of [slow, silent]) {
    assert.equal(text, '')
    assert.ok(ms < 12_000, `${ms} ms`)
  }
  assert.equal((await ask(`https://localhost:${port}/`)).status, 302, 'others are served')
})

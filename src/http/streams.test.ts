import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { createDefaultHttpClient, createPipelineFromOptions, createPipelineRequest } from '@azure/core-rest-pipeline'
import { AzureError } from './errors.ts'
import { ask, open, startListening, type Listening } from './listening.fixture.ts'
import { bytes, json } from './respond.ts'
import type { Route } from './route.ts'

const chunk = new Uint8Array(64 * 1024)
const chunks = 3200
let cancelled = 0

/** `good` chunks, then an error where `fails`, otherwise the end. */
function body(good: number, fails?: unknown): ReadableStream<Uint8Array> {
  let sent = 0
  return new ReadableStream({
    async pull(controller) {
      if (sent++ < good) return controller.enqueue(chunk)
      await sleep(5)
      if (fails === undefined) controller.close()
      else controller.error(fails === 'nothing' ? undefined : fails)
    },
    cancel() {
      cancelled++
    },
  })
}

const open200 = { auth: 'none', reason: 'a test asks nobody', maxBody: 0, host: 'openai', method: 'GET' } as const
const length = (count: number) => ({ headers: { 'content-length': String(count * chunk.length) } })

const routes: Route[] = [
  { ...open200, path: '/whole', handler: () => new Response(body(3)) },
  { ...open200, path: '/large', handler: () => new Response(body(chunks), length(chunks)) },
  { ...open200, path: '/cut/chunked', handler: () => new Response(body(3, new Error('secret'))) },
  { ...open200, path: '/cut/sized', handler: () => new Response(body(3, new Error('secret')), length(4)) },
  { ...open200, path: '/cut/nothing', handler: () => new Response(body(3, 'nothing')) },
  { ...open200, path: '/cut/last', handler: () => new Response(body(3, new Error('secret')), length(3)) },
  { ...open200, path: '/short', handler: () => new Response(body(3), length(4)) },
  { ...open200, path: '/long', handler: () => new Response(body(3), length(2)) },
  {
    ...open200,
    path: '/first',
    handler: () => new Response(body(0, new AzureError('CustomerManagedKeyUnavailable', 403, 'No key.'))),
  },
  { ...open200, path: '/via', handler: call => json({ via: call.via, peer: call.peer, origin: call.origin }) },
  {
    ...open200,
    path: '/echo',
    method: 'POST',
    maxBody: 1e7,
    handler: async call => bytes(Buffer.concat(await call.body().toArray()), 'application/octet-stream'),
  },
]

describe('streamed responses', () => {
  let server: Listening
  before(async () => {
    server = await startListening(routes)
  })
  after(async () => server.close())
  const host = 'a.openai.localhost'

  it('arrive whole', async () => {
    const reply = await ask(server, { host, path: '/whole' })
    assert.equal(reply.complete, true)
    assert.equal(reply.body.length, 3 * chunk.length)
  })

  for (const path of ['/cut/chunked', '/cut/sized', '/cut/nothing', '/cut/last', '/short', '/long']) {
    it(`never look complete when they fail in the middle: ${path}`, async () => {
      for (const agent of [undefined, server.listener.serviceAgent]) {
        // In memory a short response may be cut off before any of it got through.
        const cut = { complete: false, body: '' }
        const reply = await ask(server, { host, path, ...(agent ? { agent } : {}) }).catch(() => cut)
        assert.equal(reply.complete, false)
        assert.ok(!reply.body.includes('secret'))
      }
    })
  }

  it('become an error response when they fail before the first byte', async () => {
    const reply = await ask(server, { host, path: '/first' })
    assert.equal(reply.status, 403)
    assert.match(reply.body, /CustomerManagedKeyUnavailable/)
  })

  it('hold memory flat for a slow reader of 200 MB', async () => {
    const rss = () => process.memoryUsage().rss / 2 ** 20
    const before = rss()
    const response = await open(server, { host, path: '/large' })
    let received = 0
    let peak = 0
    for await (const part of response) {
      received += (part as Buffer).length
      if (received % (5 * 2 ** 20) < 16384) await sleep(1)
      peak = Math.max(peak, rss())
    }
    assert.equal(received, chunks * chunk.length)
    assert.ok(peak - before < 100, `grew by ${Math.round(peak - before)} MiB`)

    const earlier = cancelled
    const left = await open(server, { host, path: '/large' })
    await sleep(50)
    assert.ok(rss() - before < 100, 'nothing piles up while nobody reads')
    left.destroy()
    await sleep(200)
    assert.equal(cancelled, earlier + 1)
  })
})

describe('service connection', () => {
  let server: Listening
  before(async () => {
    server = await startListening(routes)
  })
  after(async () => server.close())

  it('marks calls as the service`s own, under the urls that clients use', async () => {
    const client = createDefaultHttpClient()
    const pipeline = createPipelineFromOptions({ agent: server.listener.serviceAgent })
    const url = `https://a.openai.localhost:${server.listener.port}/via`
    for (let turn = 0; turn < 3; turn++) {
      const request = createPipelineRequest({ url })
      const response = await pipeline.sendRequest(client, request)
      assert.deepEqual(JSON.parse(response.bodyAsText ?? ''), {
        via: 'service',
        peer: 'service',
        origin: `https://a.openai.localhost:${server.listener.port}`,
      })
    }
    assert.equal(Object.values(server.listener.serviceAgent.freeSockets).flat().length, 1, 'kept alive and used again')
  })

  it('carries large bodies both ways, many at a time', async () => {
    const body = Buffer.alloc(3_000_000, 'x')
    const one = async () =>
      ask(server, {
        host: 'a.openai.localhost',
        path: '/echo',
        method: 'POST',
        body,
        agent: server.listener.serviceAgent,
      })
    for (const reply of await Promise.all(Array.from({ length: 8 }, one))) assert.equal(reply.body.length, body.length)
  })
})

import assert from 'node:assert/strict'
import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { AzureError } from './errors.ts'
import { RequestBody } from './request-body.ts'

const patienceMs = 100

describe('request body', () => {
  let server: Server
  let arrived: (incoming: IncomingMessage) => void
  before(async () => {
    server = createServer(incoming => arrived(incoming))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  })
  after(() => {
    server.close()
    server.closeAllConnections()
  })

  /** A request whose body the test sends by hand, and the body as the server reads it. */
  async function begin(limit = 1000): Promise<{ client: ReturnType<typeof request>; body: RequestBody }> {
    const incoming = new Promise<IncomingMessage>(resolve => (arrived = resolve))
    const client = request({ port: (server.address() as AddressInfo).port, method: 'POST' })
    client.on('error', () => undefined)
    client.flushHeaders()
    return { client, body: new RequestBody(await incoming, limit, patienceMs) }
  }

  const isError = (status: number) => (error: unknown) => error instanceof AzureError && error.status === status

  it('ends with 408 when the client is too slow', async () => {
    const { client, body } = await begin()
    client.write('a')
    await assert.rejects(body.toArray(), isError(408))
  })

  it('does not count the time that its reader takes', async () => {
    const { client, body } = await begin(2_000_000)
    client.end(Buffer.alloc(1_500_000))
    let length = 0
    for await (const chunk of body) {
      length += (chunk as Buffer).length
      if (length < 500_000) await sleep(40)
    }
    assert.equal(length, 1_500_000)
  })

  it('ends with 400 when the client goes away in the middle', async () => {
    const { client, body } = await begin()
    client.write('abc')
    const parts: string[] = []
    await assert.rejects(async () => {
      for await (const part of body) {
        parts.push(String(part))
        client.destroy()
      }
    }, isError(400))
    assert.deepEqual(parts, ['abc'])
  })

  it('returns nothing above its limit', async () => {
    const { client, body } = await begin(10)
    client.end('x'.repeat(11))
    await assert.rejects(body.toArray(), isError(413))
  })
})

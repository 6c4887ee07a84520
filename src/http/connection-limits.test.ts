import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { systemEnv } from '../base/env.ts'
import { AzureError } from './errors.ts'
import { listenPlain } from './listen.ts'
import { startListening, type Listening } from './listening.fixture.ts'
import { text } from './respond.ts'
import type { Authenticator, Route } from './route.ts'
import { routeTable } from './route-table.ts'

const held: (() => void)[] = []
const routes: Route[] = [
  {
    method: 'GET',
    host: 'portal',
    path: '/',
    auth: 'none',
    reason: 'a test asks nobody',
    maxBody: 0,
    handler: () => text('hello'),
  },
  { method: 'GET', host: 'vault', path: '/own', auth: 'vault', maxBody: 0, handler: () => text('yours') },
  {
    method: 'GET',
    host: 'portal',
    path: '/slow',
    auth: 'none',
    reason: 'a test asks nobody',
    maxBody: 0,
    handler: async () => {
      await new Promise<void>(resolve => held.push(resolve))
      return text('late')
    },
  },
]
const vault: Authenticator = async call => {
  if (call.headers.get('authorization') !== 'Bearer good') throw new AzureError('Unauthorized', 401, 'Who?')
  return { type: 'key', account: 'a' }
}

describe('connections', () => {
  let server: Listening
  const sockets: TLSSocket[] = []
  before(async () => {
    server = await startListening(routes, { vault }, { connections: { all: 12, ofOnePeer: 8 } })
  })
  after(async () => {
    for (const release of held) release()
    for (const socket of sockets) socket.destroy()
    await server.close()
  })

  async function idle(): Promise<TLSSocket> {
    const options = { port: server.listener.port, host: '127.0.0.1', servername: 'portal.localhost' }
    const socket = connect({ ...options, ca: server.certificates.caPem })
    socket.on('error', () => undefined)
    sockets.push(socket)
    await new Promise(resolve => socket.once('secureConnect', resolve).once('close', resolve))
    return socket
  }
  /** The status of the response to a request over this connection; undefined when the connection ends. */
  async function ask(socket: TLSSocket, host: string, path: string): Promise<number | undefined> {
    if (socket.destroyed) return undefined
    const chunk = new Promise<unknown>(resolve => socket.once('data', resolve).once('close', resolve))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer good\r\n\r\n`)
    const data = await chunk
    return Buffer.isBuffer(data) ? Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString())?.[1]) : undefined
  }

  it('of one address end at the limit: first the anonymous one that has been idle for the longest time', async () => {
    const own = await idle()
    assert.equal(await ask(own, 'kv.vault.localhost', '/own'), 200)
    const busy = await idle()
    const late = ask(busy, 'portal.localhost', '/slow')
    const crowd: TLSSocket[] = []
    for (let n = 0; n < 20; n++) crowd.push(await idle())
    await sleep(50)
    assert.deepEqual(
      crowd.map(({ destroyed }) => destroyed),
      crowd.map((_, index) => index < 14),
    )
    assert.equal(await ask(await idle(), 'portal.localhost', '/'), 200)
    assert.equal(await ask(own, 'kv.vault.localhost', '/own'), 200)
    held.splice(0).forEach(release => release())
    assert.equal(await late, 200)
    assert.equal(server.notices.length, 1)
    assert.match(server.notices[0] ?? '', /8 connections of one address, or 12 altogether/)
  })

  it('with authenticated callers stay: a new one is refused where all are of these', async () => {
    const own: TLSSocket[] = []
    for (let n = 0; n < 7; n++) own.push(await idle())
    for (const socket of own) assert.equal(await ask(socket, 'kv.vault.localhost', '/own'), 200)
    const refused = await idle()
    await sleep(50)
    assert.equal(refused.destroyed, true)
    for (const socket of own) assert.equal(await ask(socket, 'kv.vault.localhost', '/own'), 200)
  })
})

describe('connections that send nothing, or very slowly', () => {
  /** Milliseconds until the other side ends it. */
  async function lifeOf(socket: Socket, feed?: () => void): Promise<number> {
    const began = performance.now()
    const feeding = setInterval(() => feed?.(), 1_000)
    socket.on('error', () => undefined).resume()
    await once(socket, 'close')
    clearInterval(feeding)
    return performance.now() - began
  }

  it('end within twenty seconds: a handshake, a head, and nothing at all, over TLS and in plain', async () => {
    const server = await startListening(routes)
    const plain = await listenPlain(0, {
      table: routeTable([]),
      authenticators: { management: vault, vault, openai: vault, administrator: vault },
      env: systemEnv,
      scheme: 'http',
      resolveHost: () => ({ host: 'metadata', label: '' }),
      unknownHost: () => '',
      trustedOrigins: () => new Set(),
    })
    const { port } = server.listener
    const overTls = (): TLSSocket =>
      connect({ port, host: '127.0.0.1', servername: 'portal.localhost', ca: server.certificates.caPem })
    const [slowTls, slowPlain] = [overTls(), connectPlain(plain.port, '127.0.0.1')]
    const lives = await Promise.all([
      lifeOf(connectPlain(port, '127.0.0.1')),
      lifeOf(overTls()),
      lifeOf(slowTls, () => slowTls.write('G')),
      lifeOf(connectPlain(plain.port, '127.0.0.1')),
      lifeOf(slowPlain, () => slowPlain.write('G')),
    ])
    await plain.close()
    await server.close()
    assert.ok(
      lives.every(life => life < 20_000),
      lives.join(' '),
    )
  })
})

import { readFile } from 'node:fs/promises'
import { createServer, request, type RequestOptions } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { KeyClient } from '@azure/keyvault-keys'
import { administratorOf, newPrincipal } from '../arm/arm.fixture.ts'
import { Azure } from './azure.ts'
import { cloudFor, type TestCloud } from './cloud.ts'
import type { Trouble } from './troubles.ts'

/** A vault of another cloud, over real TLS, whose answers the test can change. */
export interface OutsideVault {
  readonly uri: string
  readonly tenantId: string
  readonly keys: KeyClient
  /** The value of `--outside-vaults`. */
  readonly pattern: string
  /** Sets the permissions of the operator's credential in the vault. */
  permit(permissions: readonly string[]): Promise<void>
  /** A vault beside it whose properties differ, with the key `cmk` in it, for the same credential. */
  another(name: string, properties: object): Promise<string>
  trouble: Trouble
  /** Delays each answer by this time. */
  late(milliseconds: number): Trouble
  /** Passes requests on, and changes the answers to those of a foreign vault. */
  rewriting(change: (reply: VaultReply, request: IncomingMessage) => VaultReply): Trouble
  /** Requests since the last call. */
  asked(): number
}

interface VaultReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

interface Closers {
  after(fn: () => Promise<void>): void
}

const preload = new URL('../../src/http/localhost.mjs', import.meta.url).href

/**
 * Starts another cloud with a vault, and sets this process's environment as an operator would: the credential of an
 * application of that cloud, and trust in its CA. Clouds that are started after this one have both.
 */
export async function outsideVault(test: Closers, name = 'kv-outside'): Promise<OutsideVault> {
  const cloud = await cloudFor(test)
  const azure = await Azure.in(cloud.endpoints)
  const administrator = await administratorOf(cloud.endpoints)
  const operator = await newPrincipal(administrator, administrator, 'operator')
  const keys = await azure.vault(name)
  await useEnvironment(cloud, operator.login)
  const { port, close, state, forward } = await listenInBetween(cloud)
  test.after(close)
  let seen = 0
  return {
    uri: `https://${name}.vault.localhost:${port}/`,
    tenantId: cloud.endpoints.tenantId,
    keys,
    pattern: `*.vault.localhost:${port}`,
    permit: async permissions =>
      azure.policy(name, permissions.length === 0 ? 'remove' : 'replace', operator.objectId, [...permissions]),
    another: async (other, properties) => {
      await (await azure.vault(other, properties)).createRsaKey('cmk', { keySize: 2048 })
      await azure.policy(other, 'add', operator.objectId)
      return `https://${other}.vault.localhost:${port}/`
    },
    get trouble() {
      return state.trouble
    },
    set trouble(trouble: Trouble) {
      state.trouble = trouble
    },
    late: milliseconds => (incoming, outgoing) => {
      setTimeout(() => forward(incoming, outgoing), milliseconds)
      return 'handled'
    },
    rewriting: change => (incoming, outgoing) => {
      forward(incoming, outgoing, change)
      return 'handled'
    },
    asked: () => {
      const before = seen
      seen = state.asked
      return seen - before
    },
  }
}

async function useEnvironment(
  { endpoints }: TestCloud,
  { tenantId, clientId, clientSecret }: { tenantId: string; clientId: string; clientSecret: string },
): Promise<void> {
  Object.assign(process.env, {
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_ID: clientId,
    AZURE_CLIENT_SECRET: clientSecret,
    AZURE_AUTHORITY_HOST: endpoints.authority,
    NODE_EXTRA_CA_CERTS: endpoints.caCertificate,
    NODE_OPTIONS: [process.env['NODE_OPTIONS'], `--import=${preload}`].filter(Boolean).join(' '),
  })
}

/** TLS with the other cloud's own certificate, so that clients only see another port. */
async function listenInBetween({ endpoints, dataDir }: TestCloud): Promise<{
  port: number
  state: { trouble: Trouble; asked: number }
  forward: (
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    change?: Parameters<OutsideVault['rewriting']>[0],
  ) => void
  close: () => Promise<void>
}> {
  const state: { trouble: Trouble; asked: number } = { trouble: () => 'pass', asked: 0 }
  const [cert, key, ca] = await Promise.all(
    ['server.pem', 'server-key.pem', 'ca.pem'].map(file => readFile(join(dataDir, 'ca', file))),
  )
  const forward: Awaited<ReturnType<typeof listenInBetween>>['forward'] = (incoming, outgoing, change) => {
    const { method, url: path, headers } = incoming
    const hostname = (headers.host ?? '').replace(/:\d+$/, '')
    const onward: RequestOptions = {
      host: '127.0.0.1',
      servername: hostname,
      port: endpoints.port,
      ca,
      method,
      path,
      headers: { ...headers, host: `${hostname}:${endpoints.port}` },
    }
    const sent = request(onward, reply => {
      if (change !== undefined) return void answerChanged(reply, outgoing, before => change(before, incoming))
      outgoing.writeHead(reply.statusCode ?? 500, reply.headers)
      return reply.pipe(outgoing)
    })
    sent.on('error', () => outgoing.destroy())
    incoming.pipe(sent)
  }
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    state.asked += 1
    if (state.trouble(incoming, outgoing) === 'pass') forward(incoming, outgoing)
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise(resolve => {
      server.close(resolve)
    })
  }
  return { port: (server.address() as AddressInfo).port, state, forward, close }
}

async function answerChanged(
  reply: IncomingMessage,
  outgoing: ServerResponse,
  change: (reply: VaultReply) => VaultReply,
): Promise<void> {
  const { status, headers, body } = change({
    status: reply.statusCode ?? 500,
    headers: reply.headers,
    body: await text(reply),
  })
  outgoing.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
  outgoing.end(body)
}

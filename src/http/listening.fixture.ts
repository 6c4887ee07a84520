import { mkdtemp, rm } from 'node:fs/promises'
import { request, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { systemEnv } from '../base/env.ts'
import { openCertificates, type ServerCertificates } from './certificates.ts'
import { AzureError } from './errors.ts'
import type { RequestLine } from './handle-request.ts'
import { listen, type Listener, type ListenOptions } from './listen.ts'
import type { AuthScheme, Authenticator, Route } from './route.ts'

/** A listener on a free port with certificates of its own, for tests. */
export interface Listening {
  readonly listener: Listener
  readonly certificates: ServerCertificates
  readonly lines: RequestLine[]
  readonly notices: string[]
  close(): Promise<void>
}

const refuse: Authenticator = async () => {
  throw new AzureError('Unauthorized', 401, 'No authenticator is wired for this scheme.')
}

export async function startListening(
  routes: readonly Route[],
  authenticators: Partial<Record<AuthScheme, Authenticator>> = {},
  more: Pick<ListenOptions, 'connections'> = {},
): Promise<Listening> {
  const dir = await mkdtemp(join(tmpdir(), 'ownkey-listen-'))
  const certificates = await openCertificates(dir, 'localhost', systemEnv)
  const lines: RequestLine[] = []
  const notices: string[] = []
  const listener = await listen({
    port: 0,
    domain: 'localhost',
    certificates,
    routes,
    authenticators: { management: refuse, vault: refuse, openai: refuse, administrator: refuse, ...authenticators },
    env: systemEnv,
    log: line => lines.push(line),
    notice: message => notices.push(message),
    ...more,
  })
  return {
    listener,
    certificates,
    lines,
    notices,
    async close() {
      await listener.close()
      await rm(dir, { recursive: true })
    },
  }
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly complete: boolean
}

export interface Ask extends Pick<RequestOptions, 'method' | 'headers' | 'agent' | 'family'> {
  readonly body?: string | Buffer
  readonly host: string
  readonly path: string
}

/** One HTTPS request over a connection of its own; resolves with what came even when it was cut off. */
export async function ask(server: Listening, options: Ask): Promise<Reply> {
  const response = await open(server, options)
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer)
  } catch {
    // `complete` says it.
  }
  const body = Buffer.concat(chunks).toString()
  return { status: response.statusCode ?? 0, headers: response.headers, body, complete: response.complete }
}

/** As `ask`, with the body still to be read. */
export async function open(server: Listening, options: Ask): Promise<IncomingMessage> {
  const { body, host, agent, ...rest } = options
  const address = options.family === 6 ? '::1' : '127.0.0.1'
  return new Promise((resolve, reject) => {
    const client = request(
      {
        ...rest,
        host,
        servername: host,
        port: server.listener.port,
        ca: server.certificates.caPem,
        agent: agent ?? false,
        lookup: (_name, wanted, done) => {
          const family = options.family === 6 ? 6 : 4
          if (typeof wanted === 'object' && wanted.all) done(null, [{ address, family }])
          else done(null, address, family)
        },
      },
      resolve,
    )
    client.on('error', reject)
    client.end(body)
  })
}

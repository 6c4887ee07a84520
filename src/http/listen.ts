import { createServer as createPlainServer, type Server as PlainServer } from 'node:http'
import { createServer, type Agent, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Env } from '../base/env.ts'
import type { ServerCertificates } from './certificates.ts'
import { CONNECTION_LIMITS, Connections, type ConnectionLimits } from './connection-limits.ts'
import { requestHandler, type Edge, type RequestLine } from './handle-request.ts'
import { answerMalformed } from './malformed-request.ts'
import type { Authenticator, AuthScheme, Route } from './route.ts'
import { routeTable } from './route-table.ts'
import { answerPlainHttp } from './plain-http.ts'
import { serviceConnection } from './service-connection.ts'
import { homeOf, isBareHost, unknownHostText, virtualHost } from './virtual-host.ts'

export interface ListenOptions {
  /** 0: any free port, the same on every address. */
  readonly port: number
  /** For example `localhost`. */
  readonly domain: string
  readonly certificates: ServerCertificates
  readonly routes: readonly Route[]
  readonly authenticators: Readonly<Record<AuthScheme, Authenticator>>
  readonly env: Env
  readonly log?: (line: RequestLine) => void
  /** Default: 127.0.0.1 and, where the machine has IPv6, ::1. */
  readonly addresses?: readonly string[]
  /** Origins besides the portal's whose pages may call the APIs from a browser. */
  readonly trustedOrigins?: readonly string[]
  readonly connections?: ConnectionLimits
  /** Called with what an operator should see, in one line. */
  readonly notice?: (message: string) => void
}

export interface Listener {
  readonly port: number
  /** For calls of this process to its own hosts: `call.via` is `service` there. */
  readonly serviceAgent: Agent
  /** Takes renewed certificates into use without a restart. */
  useCertificates(certificates: ServerCertificates): void
  /** Stops taking connections, gives running requests five seconds, then cuts them off. */
  close(): Promise<void>
}

const loopback = ['127.0.0.1', '::1']
const graceMs = 5_000

/** Limits of every connection; the body's own limits are in request-body.ts. */
const serverLimits = {
  headersTimeout: 10_000,
  // A fixed time would cut off large uploads, so RequestBody bounds a slow body by its rate.
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  maxHeaderSize: 32 * 1024,
  connectionsCheckingInterval: 5_000,
}

/** Serves the routes over HTTPS on the virtual hosts of `domain`. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const listening = { port: options.port }
  const extra = options.trustedOrigins ?? []
  const edge: Edge = {
    table: routeTable(options.routes),
    authenticators: options.authenticators,
    env: options.env,
    scheme: 'https',
    resolveHost: header => virtualHost(header, options.domain),
    unknownHost: header => unknownHostText(header, options.domain),
    homeOf: header =>
      isBareHost(header, options.domain) ? homeOf(header, { domain: options.domain, port: listening.port }) : undefined,
    trustedOrigins: () => {
      const portal = `https://portal.${options.domain}`.toLowerCase()
      return new Set([`${portal}:${listening.port}`, portal, ...extra])
    },
    ...(options.log ? { log: options.log } : {}),
  }
  const network = requestHandler(edge, 'network')
  const connections = new Connections(options.connections ?? CONNECTION_LIMITS, options.notice ?? (() => {}))
  const newServer = () => {
    const tls = { ...tlsOf(options.certificates), handshakeTimeout: 10_000, minVersion: 'TLSv1.2' as const }
    const server = createServer({ ...serverLimits, ...tls, ALPNProtocols: ['http/1.1'] }, network)
    // First, so that a connection that is handed on to TLS is counted once.
    answerPlainHttp(server, { domain: options.domain, port: () => listening.port })
    connections.watch(server.on('checkContinue', network))
    return answerMalformed(server)
  }
  const servers = await listenOnAll(newServer, options.addresses ?? loopback, options.port, !options.addresses)
  listening.port = portOf(servers[0])
  const service = serviceConnection(requestHandler(edge, 'service'))
  return {
    port: listening.port,
    serviceAgent: service.agent,
    useCertificates(certificates) {
      for (const server of servers) server.setSecureContext(tlsOf(certificates))
    },
    async close() {
      service.close()
      await Promise.all(servers.map(closeServer))
    },
  }
}

/** One plain HTTP server on 127.0.0.1, for instance metadata. */
export async function listenPlain(
  port: number,
  edge: Edge,
  notice: (message: string) => void = () => {},
): Promise<{ port: number; close(): Promise<void> }> {
  const handler = requestHandler(edge, 'network')
  const connections = new Connections(CONNECTION_LIMITS, notice)
  const newServer = () => {
    const server = createPlainServer(serverLimits, handler).on('checkContinue', handler)
    connections.watch(server)
    return answerMalformed(server)
  }
  const [server] = await listenOnAll(newServer, ['127.0.0.1'], port, false)
  return { port: portOf(server), close: async () => closeServer(server) }
}

function tlsOf(certificates: ServerCertificates): { cert: string; key: string } {
  return { cert: certificates.certificatePem, key: certificates.keyPem }
}

/** Every address gets the same port. With port 0, a port that is free on the first address but not on the next is given back. */
async function listenOnAll<S extends Server | PlainServer>(
  newServer: () => S,
  addresses: readonly string[],
  port: number,
  ipv6IsOptional: boolean,
): Promise<[S, ...S[]]> {
  for (let attempt = 1; ; attempt++) {
    const servers: S[] = []
    try {
      for (const address of addresses) {
        const server = newServer()
        const same = servers[0] ? portOf(servers[0]) : port
        if (await listenOn(server, address, same, ipv6IsOptional && address.includes(':'))) servers.push(server)
      }
      const [first, ...others] = servers
      if (!first) throw new Error('There is no address to listen on.')
      return [first, ...others]
    } catch (error) {
      await Promise.all(servers.map(closeServer))
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (!taken || port !== 0 || attempt === 10) throw explained(error as NodeJS.ErrnoException, port)
    }
  }
}

function explained(error: NodeJS.ErrnoException, port: number): Error {
  const why = {
    EADDRINUSE: `Port ${port} is in use by another program. Stop it, or choose another port with --port (0: any free one).`,
    EACCES: `Port ${port} may be used by root alone. Choose one from 1024 on with --port.`,
  }[error.code ?? '']
  return why === undefined ? error : new Error(why, { cause: error })
}

/** False where the machine lacks an address that is optional. */
async function listenOn(server: Server | PlainServer, host: string, port: number, optional: boolean): Promise<boolean> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, ipv6Only: host.includes(':') }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    return true
  } catch (error) {
    const absent = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code ?? '')
    if (optional && absent) return false
    throw error
  }
}

async function closeServer(server: Server | PlainServer): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}

function portOf(server: Server | PlainServer): number {
  return (server.address() as AddressInfo).port
}

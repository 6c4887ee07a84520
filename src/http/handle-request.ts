import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Env } from '../base/env.ts'
import { keepConnection } from './connection-limits.ts'
import { buildCall, parseTarget, requestHeaders, type Arrival } from './build-call.ts'
import { crossOriginHeaders, preflight } from './cors.ts'
import { encodeError } from './encode-error.ts'
import { AzureError } from './errors.ts'
import { cutOf, empty, text } from './respond.ts'
import type { AuthScheme, Authenticator, Call, Caller, HostName } from './route.ts'
import type { RouteTable } from './route-table.ts'
import { normalHost, type VirtualHost } from './virtual-host.ts'
import { openBody, writeResponse, type OpenedBody } from './write-response.ts'

/** One line for each request, without query, headers and body, which may hold secrets. */
export interface RequestLine {
  readonly time: string
  readonly requestId: string
  readonly host: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly durationMs: number
  readonly peer: string
  readonly via: 'network' | 'service'
  /** Why a request failed unexpectedly: the error's stack, or a response that was cut off. */
  readonly fault?: string
}

/** What all listeners share: routes, authenticators, and where log lines go. */
export interface Edge {
  readonly table: RouteTable
  readonly authenticators: Readonly<Record<AuthScheme, Authenticator>>
  readonly env: Env
  readonly scheme: 'http' | 'https'
  resolveHost(header: string | undefined): VirtualHost | undefined
  unknownHost(header: string | undefined): string
  /** Where a browser is redirected that asks for the machine itself, without a host of the service. */
  homeOf?(header: string | undefined): string | undefined
  /** Origins whose pages may call us from a browser. */
  trustedOrigins(): ReadonlySet<string>
  log?(line: RequestLine): void
}

interface Outcome {
  readonly response: Response
  readonly body: OpenedBody
  readonly fault?: string
}

/** The request handler of one listener; `via` says which kind of connection it serves. */
export function requestHandler(
  edge: Edge,
  via: Call['via'],
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  return inTurn((incoming, outgoing) => {
    const started = performance.now()
    const requestId = edge.env.uuid()
    const peer = via === 'service' ? 'service' : (incoming.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    const report = (status: number, fault?: string) =>
      edge.log?.({
        time: new Date(edge.env.now()).toISOString(),
        requestId,
        host: normalHost(incoming.headers.host) ?? '',
        method: incoming.method ?? '',
        path: (incoming.url ?? '').split('?', 1)[0]?.slice(0, 512) ?? '',
        status,
        durationMs: Math.round((performance.now() - started) * 10) / 10,
        peer,
        via,
        ...(fault === undefined ? {} : { fault }),
      })
    void answer(edge, { incoming, outgoing, requestId, peer, via }).then(
      ({ status, fault }) => report(status, fault),
      (error: unknown) => {
        outgoing.destroy()
        report(outgoing.statusCode, faultOf(error))
      },
    )
  })
}

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * Pipelined requests (RFC 9112, 9.3.2) are begun one after the other. So one connection can't make hundreds of them hold files and
 * memory at a time, and a change is done before the next request reads it.
 */
function inTurn(handle: Handler): Handler {
  const last = new WeakMap<Socket, ServerResponse>()
  return (incoming, outgoing) => {
    const { socket } = incoming
    const before = last.get(socket)
    last.set(socket, outgoing)
    if (before === undefined || before.closed) return handle(incoming, outgoing)
    before.once('close', () => {
      if (!socket.destroyed && before.shouldKeepAlive) handle(incoming, outgoing)
    })
  }
}

interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly requestId: string
  readonly peer: string
  readonly via: Call['via']
}

async function answer(edge: Edge, exchange: Exchange): Promise<{ status: number; fault?: string }> {
  const { incoming, outgoing, requestId } = exchange
  const headers = requestHeaders(incoming)
  const target = edge.resolveHost(incoming.headers.host)
  const outcome = target
    ? await outcomeOf(edge, exchange, target, headers)
    : await opened(withoutHost(edge, incoming), outgoing)
  const { response, body, fault } = outcome
  const sent = decorated(response.headers, requestId, target?.host, headers)
  Object.assign(
    sent,
    crossOriginHeaders(headers.get('origin'), () => edge.trustedOrigins()),
  )
  const { status } = response
  await writeResponse({ status, headers: sent, body, cut: cutOf(response) }, incoming, outgoing)
  return { status, ...(fault === undefined ? {} : { fault }) }
}

/** Only the bare address redirects to the portal, so that an API client with a wrong base URL gets an error. */
function withoutHost(edge: Edge, { method = '', url = '', headers: { host } }: IncomingMessage): Response {
  const home = /^\/(\?|$)/.test(url) && ['GET', 'HEAD'].includes(method) ? edge.homeOf?.(host) : undefined
  if (home === undefined) return text(edge.unknownHost(host), { status: 404 })
  return empty(302, { location: home })
}

/** The response of the routes, with its body begun. Whatever goes wrong before that is encoded as an error. */
async function outcomeOf(edge: Edge, exchange: Exchange, target: VirtualHost, headers: Headers): Promise<Outcome> {
  const method = exchange.incoming.method ?? 'GET'
  try {
    const checked = preflight(method, headers, () => edge.trustedOrigins())
    return await opened(checked ?? (await dispatch(edge, exchange, target, headers)), exchange.outgoing)
  } catch (error) {
    const clientRequestId = clientId(headers)
    const path = exchange.incoming.url ?? ''
    const context = { host: target.host, path, requestId: exchange.requestId, clientRequestId, now: edge.env.now() }
    const outcome = await opened(encodeError(error, context), exchange.outgoing)
    return error instanceof AzureError && error.status < 500 ? outcome : { ...outcome, fault: faultOf(error) }
  }
}

async function dispatch(edge: Edge, exchange: Exchange, target: VirtualHost, headers: Headers): Promise<Response> {
  const { incoming, outgoing } = exchange
  const origin = `${edge.scheme}://${normalHost(incoming.headers.host) ?? ''}`
  const { url, segments } = parseTarget(incoming.url ?? '', origin)
  const method = incoming.method ?? 'GET'
  const found = edge.table.match(target.host, method, segments)
  if (found.type === 'unknown') throw unknownPath(target.host, method, url.pathname)
  if (found.type === 'method') {
    const allow = found.allow.join(', ')
    if (method === 'OPTIONS') return empty(204, { allow })
    const message = `${method} is not possible here. Possible: ${allow}.`
    throw new AzureError('MethodNotAllowed', 405, message, { headers: { allow } })
  }
  const arrival: Arrival = { ...exchange, url, origin, segments, headers }
  const call = buildCall(arrival, target, found, incoming, outgoing)
  const caller = await authenticate(edge, found.route.auth, call)
  if (caller.type !== 'anonymous') keepConnection(incoming)
  return found.route.handler({ ...call, caller })
}

async function authenticate(edge: Edge, scheme: AuthScheme | 'none', call: Call): Promise<Caller> {
  return scheme === 'none' ? { type: 'anonymous' } : edge.authenticators[scheme](call)
}

async function opened(response: Response, outgoing: ServerResponse): Promise<Outcome> {
  return { response, body: await openBody(response, outgoing) }
}

function unknownPath(host: HostName, method: string, path: string): AzureError {
  // As Azure: the error names the unknown type, so that nobody searches for a mistake of their own.
  const last = path.toLowerCase().lastIndexOf('/providers/')
  const [, namespace, type] = /^\/providers\/([\w.-]{1,64})\/([\w-]{1,64})/i.exec(path.slice(Math.max(last, 0))) ?? []
  if (host === 'management' && namespace !== undefined)
    return new AzureError(
      'InvalidResourceType',
      404,
      `There is nothing at ${method} ${path.slice(0, 512)}: '${namespace}/${type}', or this of it, is not offered here. GET /providers lists what is.`,
    )
  const code = host === 'management' ? 'ResourceNotFound' : host === 'openai' ? '404' : 'NotFound'
  return new AzureError(
    code,
    404,
    `There is nothing at ${method} ${path.slice(0, 512)}. Check the path and its letters.`,
  )
}

/** A response's headers with those that every response has; names in lower case. */
function decorated(
  response: Headers,
  requestId: string,
  host: HostName | undefined,
  request: Headers,
): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store', ...Object.fromEntries(response) }
  headers['x-ms-request-id'] = requestId
  headers['x-request-id'] = requestId
  if (host === 'openai') headers['apim-request-id'] = requestId
  for (const name of ['x-ms-client-request-id', 'client-request-id']) {
    const value = request.get(name)
    if (value !== null && saneId.test(value)) headers[name] = value
  }
  headers['x-content-type-options'] = 'nosniff'
  return headers
}

const saneId = /^[\w.\-{}]{1,64}$/

function clientId(headers: Headers): string | undefined {
  const value = headers.get('client-request-id') ?? headers.get('x-ms-client-request-id')
  return value !== null && saneId.test(value) ? value : undefined
}

function faultOf(error: unknown): string {
  return (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, 4096)
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { AzureError } from './errors.ts'
import { announcedLength, readJson, RequestBody, tooLarge } from './request-body.ts'
import type { Call, Route } from './route.ts'
import type { VirtualHost } from './virtual-host.ts'

/** What is known of a request before a route is found. */
export interface Arrival {
  readonly url: URL
  readonly origin: string
  readonly segments: readonly string[]
  readonly headers: Headers
  readonly peer: string
  readonly via: 'network' | 'service'
  readonly requestId: string
}

/** Longer than any name that the APIs take, so that ids in the database are bounded. */
const maxSegmentBytes = 400
// oxlint-disable-next-line no-control-regex -- the pattern refuses them
const controlCharacter = /[\0-\x1f\x7f]/

const dotSegment = /(^|\/)(\.|%2e){1,2}(\/|$)/i

/** Duplicate slashes collapse (the SDKs send `//subscriptions`), a trailing one is tolerated. */
export function parseTarget(target: string, origin: string): { url: URL; segments: string[] } {
  const malformed = () => new AzureError('InvalidRequestUri', 400, 'The request target is not a valid path.')
  if (!target.startsWith('/')) throw malformed()
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  // Never resolved: a DELETE of a child called `..` must not delete its parent.
  if (path.includes('\\') || dotSegment.test(path)) throw malformed()
  const parsed = parse(`${origin}${path.replace(/\/{2,}/g, '/')}${query < 0 ? '' : target.slice(query)}`)
  if (parsed === undefined || parsed.segments.some(segment => controlCharacter.test(segment))) throw malformed()
  if (parsed.segments.some(segment => Buffer.byteLength(segment) > maxSegmentBytes)) {
    const message = `A part of the path is longer than ${maxSegmentBytes} bytes: nothing has such a name.`
    throw new AzureError('InvalidRequestUri', 400, message)
  }
  return parsed
}

function parse(text: string): { url: URL; segments: string[] } | undefined {
  try {
    const url = new URL(text)
    return { url, segments: url.pathname.split('/').filter(Boolean).map(decodeURIComponent) }
  } catch {
    return undefined
  }
}

/** The headers of a request. Headers that Node has joined stay joined. */
export function requestHeaders(incoming: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  return headers
}

export function buildCall(
  arrival: Arrival,
  target: VirtualHost,
  found: { readonly route: Route; readonly params: Readonly<Record<string, string>> },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Call {
  const { route } = found
  let stream: RequestBody | undefined
  const body = () => {
    if (stream) throw new Error(`The body of ${route.method} ${route.path} was asked for twice.`)
    if ((announcedLength(incoming) ?? 0) > route.maxBody) throw tooLarge(route.maxBody)
    if ((incoming.headers['content-encoding'] ?? 'identity') !== 'identity') {
      throw new AzureError('UnsupportedMediaType', 415, 'Request bodies are taken without a Content-Encoding only.')
    }
    // Clients that asked first (`Expect: 100-continue`) send nothing until authentication has passed.
    if (incoming.headers.expect?.toLowerCase() === '100-continue') outgoing.writeContinue()
    stream = new RequestBody(incoming, route.maxBody)
    return stream
  }
  return {
    method: incoming.method ?? 'GET',
    url: arrival.url,
    label: target.label,
    origin: arrival.origin,
    params: found.params,
    query: queryOf(arrival.url),
    headers: arrival.headers,
    peer: arrival.peer,
    via: arrival.via,
    requestId: arrival.requestId,
    caller: { type: 'anonymous' },
    signal: disconnectSignal(outgoing),
    json: async schema => {
      checkJsonType(incoming.headers['content-type'])
      return readJson(body(), route.host, schema)
    },
    body,
  }
}

/** A body without a content type counts as JSON. @throws 415 */
function checkJsonType(type: string | undefined): void {
  if (type === undefined || /^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type)) return
  const message = `The content media type '${type.slice(0, 64)}' is not supported. Only 'application/json' is supported.`
  throw new AzureError('UnsupportedMediaType', 415, message)
}

function queryOf(url: URL): Map<string, string> {
  const query = new Map<string, string>()
  for (const [name, value] of url.searchParams) query.set(name.toLowerCase(), value)
  return query
}

function disconnectSignal(outgoing: ServerResponse): AbortSignal {
  const controller = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort(new Error('The client went away.'))
  })
  return controller.signal
}

import type { IncomingMessage, ServerResponse } from 'node:http'

/** A fault between a service and its vault, applied to each request. */
export type Trouble = (request: IncomingMessage, response: ServerResponse) => 'pass' | 'handled'

export const answer =
  (status: number, headers: Record<string, string> = {}): Trouble =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ error: { code: 'Troubled', message: 'The vault is in trouble.' } }))
    return 'handled'
  }

/** Lasting failures to answer. */
export const LASTING = {
  '429': answer(429),
  '429 with Retry-After: 10': answer(429, { 'retry-after': '10' }),
  '500': answer(500),
  '503': answer(503),
  '503 with Retry-After: 0': answer(503, { 'retry-after': '0' }),
  'no answer at all': () => 'handled',
  'connections that break': request => {
    request.socket.destroy()
    return 'handled'
  },
  'an answer that never ends': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"value":"')
    return 'handled'
  },
} as const satisfies Record<string, Trouble>

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { systemEnv } from '../../src/base/env.ts'
import { openCertificates } from '../../src/http/certificates.ts'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface Server {
  readonly origin: string
  readonly seen: Seen[]
  /** By path without its query. What is not here is 404. */
  readonly answers: Map<string, Answer>
  close(): Promise<void>
}

/** An HTTPS server on localhost, whose CA is in `caFile`. */
export async function httpsServer(folder: string): Promise<Server & { readonly caFile: string }> {
  const {
    certificatePem: cert,
    keyPem: key,
    caFile,
  } = await openCertificates(join(folder, 'ca'), 'localhost', systemEnv)
  const answers = new Map<string, Answer>()
  const seen: Seen[] = []
  const server = createServer({ cert, key }, (request, response) => {
    const path = new URL(request.url ?? '/', 'https://localhost').pathname
    const { range, authorization } = request.headers
    seen.push({ method: request.method ?? '', path, range, authorization })
    const answer = answers.get(path)
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    seen,
    answers,
    caFile,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Serves bytes with ranges and a strong validator (RFC 9110). @param cutAt bytes after which the first answers are cut off */
export function serve(bytes: Buffer, how: { cutAt?: number[]; etag?: () => string } = {}): Answer {
  const own = `"${createHash('md5').update(bytes).digest('hex')}"`
  return (request, response) => {
    const etag = how.etag?.() ?? own
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
    const isPart = asked !== undefined && request.headers['if-range'] === etag
    const from = isPart ? Number(asked) : 0
    if (from >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
      return
    }
    response.writeHead(isPart ? 206 : 200, {
      'content-length': bytes.length - from,
      etag,
      ...(isPart ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    })
    const cut = how.cutAt?.shift()
    if (cut === undefined) response.end(bytes.subarray(from))
    else response.write(bytes.subarray(from, from + cut), () => setTimeout(() => response.destroy(), 50))
  }
}

export const redirect =
  (to: string, headers: Readonly<Record<string, string>> = {}): Answer =>
  (_, response) =>
    void response.writeHead(302, { location: to, ...headers }).end()

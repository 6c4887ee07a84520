import assert from 'node:assert/strict'
import { request } from 'node:https'
import { connect } from 'node:tls'

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface Question {
  readonly method?: string
  /** `https://host:port/path`. The path is sent as it is, with dots and all. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** The announced length, whatever the body is. */
  readonly announce?: number
}

/** One raw request, over a connection of its own. The service's answer counts, also when it then hangs up. */
export function ask({ method = 'GET', url, headers = {}, body, announce }: Question): Promise<Answered> {
  const [, hostname = '', port = '', path = '/'] = /^https:\/\/([^:/]+)(?::(\d+))?(\/.*)?$/.exec(url) ?? []
  const length = announce ?? (body === undefined ? undefined : Buffer.byteLength(body))
  const isChunked = headers['transfer-encoding'] !== undefined
  const sized = length === undefined || isChunked ? headers : { ...headers, 'content-length': String(length) }
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { method, hostname, servername: hostname, port, path, headers: sized, agent: false },
      incoming => {
        const chunks: Buffer[] = []
        const done = (): void =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString(),
          })
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('end', done).on('error', done)
      },
    )
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error('no answer within 20 s')))
    outgoing.on('error', reject)
    // The body is announced and never sent, and the answer must not wait for it.
    if (announce === undefined) outgoing.end(body)
    else outgoing.flushHeaders()
  })
}

/** Bytes on a TLS connection to a host of the cloud; resolves to the status of what comes back, 0 when nothing does. */
export function askRaw(url: string, bytes: string): Promise<number> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), servername: hostname }, () => socket.write(bytes))
    let text = ''
    const done = (): void => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0))
    socket.setTimeout(20_000, () => socket.destroy(new Error('no answer within 20 s')))
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      if (text.includes('\r\n\r\n')) socket.destroy()
    })
    socket.on('close', done).on('error', error => (text === '' ? reject(error) : done()))
  })
}

/** Checks that an answer has nothing that only the service may know. */
export function checkTells(text: string, secrets: readonly string[]): void {
  assert.doesNotMatch(text, /node:internal|\.[mc]?[jt]s:\d+|PRIVATE KEY|SQLITE|\/blobs\//)
  for (const secret of secrets) assert.equal(text.includes(secret), false, 'a secret in an answer')
}

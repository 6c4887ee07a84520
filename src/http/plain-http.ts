import type { Server, Socket } from 'node:net'
import { homeOf, normalHost, virtualHost } from './virtual-host.ts'

/** Bytes of a request line with its headers. */
const maxHead = 8 * 1024
/** For the first byte, and for the whole head. */
const headMs = 5_000
/** How long a connection stays open for an answer that the client does not read, or a body that it still sends. */
const lingerMs = 1_000
const lingerBytes = 64 * 1024
const requestLine = /^([A-Z]{1,20}) (\S{1,8000}) HTTP\/1\.[01]$/
const plainTarget = /^\/[\x21-\x7e]*$/

interface Own {
  readonly domain: string
  /** Known once it listens. */
  readonly port: () => number
}

/**
 * Lets a TLS server answer plain HTTP on the same port, with the address of HTTPS and nothing else. A TLS record never begins with a
 * letter (RFC 8446, 5.1), and an HTTP request always does; so only sockets that begin with a letter are taken from TLS.
 */
export function answerPlainHttp(server: Server, options: Own): void {
  const toTls = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const late = setTimeout(() => socket.destroy(), headMs)
    const gone = () => clearTimeout(late)
    const failed = () => socket.destroy()
    socket.once('close', gone).on('error', failed)
    socket.once('data', (first: Buffer) => {
      socket.pause()
      socket.unshift(first)
      if (isLetter(first[0] ?? 0)) {
        readHead(socket, head => answer(socket, head, options))
        return
      }
      clearTimeout(late)
      socket.off('close', gone).off('error', failed)
      for (const listener of toTls) listener.call(server, socket)
    })
  })
}

function isLetter(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a
}

/** The head up to the empty line. A longer one is cut off, so it is malformed and refused. */
function readHead(socket: Socket, take: (head: string) => void): void {
  let head = ''
  const read = (chunk: Buffer) => {
    head += chunk.toString('latin1')
    if (!head.includes('\r\n\r\n') && head.length <= maxHead) return
    socket.off('data', read)
    take(head.length > maxHead ? head.slice(0, maxHead) : head)
  }
  socket.on('data', read).resume()
}

function answer(socket: Socket, head: string, { domain, port }: Own): void {
  const [first = '', ...fields] = head.split('\r\n')
  const [, method = '', target = ''] = requestLine.exec(first) ?? []
  const host = fields
    .find(field => /^host:/i.test(field))
    ?.slice(5)
    .trim()
  const place = placeOf(host, target, { domain, port: port() })
  const moves = method === 'GET' || method === 'HEAD'
  const text = `This port speaks HTTPS alone. Use ${moves ? place : place.split('/', 3).join('/')} instead.\n`
  const lines = [
    // Never a permanent redirect: browsers would keep it for localhost:PORT, which another program may use tomorrow.
    moves ? 'HTTP/1.1 302 Found' : 'HTTP/1.1 400 Bad Request',
    ...(moves ? [`Location: ${place}`] : []),
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${text.length}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : text}`)
  drop(socket)
}

/** The HTTPS address of what was asked for. Hosts that are not ours lead to the portal, never elsewhere. */
function placeOf(
  host: string | undefined,
  target: string,
  own: { readonly domain: string; readonly port: number },
): string {
  const home = homeOf(host, own)
  if (virtualHost(host, own.domain) === undefined) return home
  const name = normalHost(host) ?? ''
  return `https://${name.includes(':') ? name : `${name}:${own.port}`}${plainTarget.test(target) ? target : '/'}`
}

/** Reads on for a moment, so that a reset does not lose the answer while the client still sends. */
function drop(socket: Socket): void {
  let dropped = 0
  socket.on('data', (chunk: Buffer) => {
    dropped += chunk.length
    if (dropped > lingerBytes) socket.destroy()
  })
  setTimeout(() => socket.destroy(), lingerMs).unref()
}

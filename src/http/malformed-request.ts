import type { Server as PlainServer } from 'node:http'
import type { Server } from 'node:https'
import type { Duplex } from 'node:stream'

/** How long a client may go on sending, until it reads why it was refused. */
const lingerMs = 1_000

const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/**
 * Answers what is not an HTTP request (RFC 9112) with a status and no body. Node's own handler destroys the socket at once. The kernel
 * then resets a connection on which the client still sends, and the client never reads the answer.
 */
export function answerMalformed<S extends Server | PlainServer>(server: S): S {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // What still comes is read and dropped, and may be found malformed again.
    if (error.code === 'ECONNRESET' || !socket.writable) {
      if (!socket.writableEnded) socket.destroy()
      return
    }
    const status = STATUS[error.code ?? ''] ?? '400 Bad Request'
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    socket.on('error', () => socket.destroy()).resume()
    const late = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(late))
  })
  return server
}

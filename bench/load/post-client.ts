import { connect, type TLSSocket } from 'node:tls'

export interface Load {
  readonly port: number
  readonly host: string
  readonly ca: string
  readonly path: string
  readonly token: string
  readonly body: string
  readonly connections: number
  readonly requests: number
}

export interface LoadResult {
  readonly seconds: number
  /** Milliseconds, in no order. */
  readonly latencies: readonly number[]
  /** CPU time of this process during the measurement; microseconds of all its threads. */
  readonly cpu: number
}

/** The first answer, for its wrapped keys. */
let firstBody = ''

/**
 * Posts the same body again and again over keep-alive TLS connections, each of which waits for its answer before the next request.
 * The client shares the cores with the server, so it makes the request once, and reads only status and length of answers.
 */
async function post(load: Load): Promise<LoadResult> {
  const request = requestBytes(load)
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load)))
  const latencies: number[] = []
  await Promise.all(sockets.map(socket => run(socket, request, () => false, latencies)))
  latencies.length = 0
  let left = load.requests
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(sockets.map(socket => run(socket, request, () => --left > 0, latencies)))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  for (const socket of sockets) socket.destroy()
  return { seconds, latencies, cpu: user + system }
}

function requestBytes({ host, port, path, token, body }: Load): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: ${host}:${port}`,
    `authorization: Bearer ${token}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

function open({ host, port, ca }: Load): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: host, ca }, () => resolve(socket))
    socket.setNoDelay(true).once('error', reject)
  })
}

/** One request at a time, until `more` returns false. */
function run(socket: TLSSocket, request: Buffer, more: () => boolean, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let start = performance.now()
    let received = ''
    const take = (chunk: Buffer): void => {
      received += chunk.toString('latin1')
      const head = received.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received)?.[1])
      if (!received.startsWith('HTTP/1.1 200 ') || Number.isNaN(length)) {
        socket.destroy()
        reject(new Error(`The server answered: ${received.slice(0, 200)}`))
      }
      if (received.length < head + 4 + length) return
      latencies.push(performance.now() - start)
      firstBody ||= received.slice(head + 4)
      received = ''
      if (more()) {
        start = performance.now()
        socket.write(request)
      } else {
        socket.off('data', take)
        resolve()
      }
    }
    socket.on('data', take).once('error', reject)
    socket.write(request)
  })
}

process.once('message', load => {
  post(load as Load).then(
    result => process.send?.({ ...result, firstBody }, () => process.disconnect()),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})

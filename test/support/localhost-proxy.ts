import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'

/**
 * A proxy that resolves *.localhost (RFC 6761), for programs whose resolver does not: HTTPS_PROXY=<url>. It passes bytes
 * on to this machine only. TLS is between the program and the cloud.
 */
export async function openLocalhostProxy(): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((_, response) => response.writeHead(501).end())
  server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('connect', ({ url = '' }, client: Socket, head) => {
    const [, port] = /^(?:[a-z0-9-]+\.)*localhost:(\d+)$/.exec(url) ?? []
    if (port === undefined) return client.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const cloud = connect(Number(port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      cloud.write(head)
      cloud.pipe(client).pipe(cloud)
    })
    cloud.on('error', () => client.destroy())
    client.on('error', () => cloud.destroy()).on('close', () => cloud.destroy())
    return undefined
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}

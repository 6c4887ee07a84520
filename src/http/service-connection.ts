import { createServer, type RequestListener } from 'node:http'
import { Agent, type AgentOptions } from 'node:https'
import { duplexPair, type Duplex } from 'node:stream'

/** For calls of this process to itself, over connections in memory that nobody else can open. */
export interface ServiceConnection {
  /** Give it as `agent` to any https request for one of our own hosts. */
  readonly agent: Agent
  close(): void
}

/** Methods that Node's agent calls on a socket; a pair in memory does not need them. */
const socketManners = {
  setKeepAlive() {
    return this
  },
  setNoDelay() {
    return this
  },
  setTimeout() {
    return this
  },
  ref() {
    return this
  },
  unref() {
    return this
  },
}

class ServiceAgent extends Agent {
  readonly #connect: () => Duplex

  constructor(connect: () => Duplex) {
    super({ keepAlive: true, maxSockets: 256, maxFreeSockets: 16 })
    this.#connect = connect
  }

  override createConnection(_options: AgentOptions): Duplex {
    return this.#connect()
  }
}

/** Plain HTTP: there is no wire on which TLS could protect anything. */
export function serviceConnection(listener: RequestListener): ServiceConnection {
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, listener)
  const open = new Set<Duplex>()
  const agent = new ServiceAgent(() => {
    const [client, service] = duplexPair({ highWaterMark: 256 * 1024 })
    open.add(service)
    // Both ends are destroyed together, as with a socket. Otherwise a cut-off response would look like a pause.
    service.once('close', () => {
      open.delete(service)
      client.destroy()
    })
    client.once('close', () => service.destroy())
    client.on('error', () => undefined)
    service.on('error', () => undefined)
    server.emit('connection', Object.assign(service, socketManners))
    return Object.assign(client, socketManners)
  })
  return {
    agent,
    close() {
      agent.destroy()
      for (const duplex of open) duplex.destroy()
    },
  }
}

import type { IncomingMessage, Server as PlainServer, ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'

/** Connections at a time, for all listeners of one kind together. */
export interface ConnectionLimits {
  readonly all: number
  /** Connections of one address, less than `all`. Any local program can choose its loopback address, so all of these count as one. */
  readonly ofOnePeer: number
}

export const CONNECTION_LIMITS: ConnectionLimits = { all: 1_024, ofOnePeer: 768 }

/** An anonymous request that lasts longer may be ended to make room for a new connection. */
const patienceMs = 5_000
const noticeEveryMs = 60_000

interface Connection {
  readonly socket: Socket
  readonly peer: string
  /** The stream with the requests: the socket itself, or TLS on it. */
  stream: object | undefined
  requests: number
  /** When it was opened, or its last request began or ended. */
  since: number
}

const proven = new WeakSet<object>()

/** The caller on this connection is authenticated, so it stays when room is needed. */
export function keepConnection({ socket }: IncomingMessage): void {
  proven.add(socket)
}

/**
 * Keeps connections below the limits. A new one takes the place of the anonymous one that has been idle for the longest time, or else of
 * an anonymous one whose request lasts too long. Where there is neither, the new one is refused.
 */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #notice: (message: string) => void
  /** By the client's address and port; oldest first. */
  readonly #open = new Map<string, Connection>()
  #noticedAt = -Infinity

  /** @param notice called when a limit is met, at most once a minute */
  constructor(limits: ConnectionLimits, notice: (message: string) => void) {
    this.#limits = limits
    this.#notice = notice
  }

  watch(server: Server | PlainServer): void {
    server.on('connection', (socket: Socket) => this.#take(socket))
    for (const event of ['request', 'checkContinue'])
      server.on(event, (incoming: IncomingMessage, outgoing: ServerResponse) => this.#serve(incoming, outgoing))
  }

  #take(socket: Socket): void {
    const name = nameOf(socket)
    // It is gone already.
    if (name === undefined) return
    const peer = peerOf(socket)
    const own = [...this.#open.values()].filter(one => one.peer === peer)
    const isFull = this.#open.size >= this.#limits.all
    if ((isFull || own.length >= this.#limits.ofOnePeer) && !this.#makeRoom(isFull ? [...this.#open.values()] : own)) {
      socket.destroy()
      return
    }
    this.#open.set(name, { socket, peer, stream: undefined, requests: 0, since: performance.now() })
    socket.once('close', () => this.#open.delete(name))
  }

  #makeRoom(among: readonly Connection[]): boolean {
    if (performance.now() - this.#noticedAt > noticeEveryMs) {
      this.#noticedAt = performance.now()
      const { all, ofOnePeer } = this.#limits
      this.#notice(
        `There are ${ofOnePeer} connections of one address, or ${all} altogether: new ones take the place of idle ones that are anonymous, or are refused.`,
      )
    }
    const anonymous = among.filter(({ stream }) => stream === undefined || !proven.has(stream))
    const oldest = anonymous.toSorted((a, b) => a.since - b.since)
    const victim =
      oldest.find(({ requests }) => requests === 0) ??
      oldest.find(({ since }) => performance.now() - since > patienceMs)
    if (victim === undefined) return false
    const name = nameOf(victim.socket)
    if (name !== undefined) this.#open.delete(name)
    victim.socket.destroy()
    return true
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const connection = this.#open.get(nameOf(incoming.socket) ?? '')
    if (connection === undefined) return
    connection.stream = incoming.socket
    connection.requests += 1
    connection.since = performance.now()
    outgoing.once('close', () => {
      connection.requests -= 1
      connection.since = performance.now()
    })
  }
}

function nameOf({ remoteAddress, remotePort, localAddress }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localAddress}`
}

function peerOf({ remoteAddress = '' }: Socket): string {
  const address = remoteAddress.replace(/^::ffff:/, '')
  return address.startsWith('127.') || address === '::1' ? 'loopback' : address
}

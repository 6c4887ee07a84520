import { request } from 'node:https'
import { connect } from 'node:tls'
import { readFileSync } from 'node:fs'
import type { Endpoints } from '../../src/base/endpoints.ts'
import type { Full } from './fill.ts'

/** Counts of the states of one kind of client. */
export type Tally = Readonly<Record<string, number>>

/** Clients that run until they are stopped. */
export interface Pressure {
  readonly name: string
  tally(): Tally
  stop(): void
}

const OPENING_AT_ONCE = 100
const SLOW_BYTES = 1024
const SLOW_MS = 1000

class Counts {
  readonly #counts: Record<string, number> = {}

  add(name: string, by = 1): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + by
  }

  tally(): Tally {
    return { ...this.#counts }
  }
}

/** Connections with a TLS handshake behind them that ask nothing. One that is refused or closed is not opened again. */
export function idle(endpoints: Endpoints, count: number): Pressure {
  const counts = new Counts()
  const ca = readFileSync(endpoints.caCertificate)
  const sockets = new Set<ReturnType<typeof connect>>()
  let left = count
  let isStopped = false
  const open = (): void => {
    if (isStopped || left-- <= 0) return
    const servername = 'management.localhost'
    let isOpen = false
    const socket = connect({ host: '127.0.0.1', port: endpoints.port, servername, ca }, () => {
      isOpen = true
      counts.add('opened')
      counts.add('open now')
      open()
    })
    sockets.add(socket)
    // Without a reader its end is not noticed.
    socket.resume()
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      counts.add(isOpen ? 'closed by the service' : 'refused')
      if (isOpen) counts.add('open now', -1)
      else open()
    })
  }
  for (let n = 0; n < OPENING_AT_ONCE; n += 1) open()
  const stop = (): void => {
    isStopped = true
    for (const socket of sockets) socket.destroy()
  }
  return { name: `${count} idle connections`, tally: () => counts.tally(), stop }
}

/** Downloads that take 1 KiB a second. */
export function slowReaders(endpoints: Endpoints, account: Full, file: string, count: number): Pressure {
  return slow(endpoints, account, `${count} slow readers`, count, (options, counts) => {
    const sent = request({ ...options, path: `/openai/v1/files/${file}/content` }, response => {
      counts.add(`answered ${response.statusCode}`)
      const timer = setInterval(() => response.read(SLOW_BYTES), SLOW_MS)
      response.on('close', () => {
        clearInterval(timer)
        counts.add('closed')
      })
    })
    sent.end()
    return sent
  })
}

/** Uploads that send 1 KiB a second and are never done. */
export function slowWriters(endpoints: Endpoints, account: Full, count: number): Pressure {
  return slow(endpoints, account, `${count} slow writers`, count, (options, counts) => {
    const boundary = 'slow'
    const headers = {
      ...options.headers,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'transfer-encoding': 'chunked',
    }
    const sent = request({ ...options, method: 'POST', path: '/openai/v1/files', headers }, response => {
      counts.add(`answered ${response.statusCode}`)
      response.resume()
    })
    sent.write(`--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="slow.jsonl"\r\n\r\n`)
    const line = `${JSON.stringify({
      messages: [
        { role: 'user', content: 'x'.repeat(SLOW_BYTES - 100) },
        { role: 'assistant', content: 'yes' },
      ],
    })}\n`
    const timer = setInterval(() => {
      if (sent.write(line)) counts.add('KiB sent')
    }, SLOW_MS)
    sent.on('close', () => {
      clearInterval(timer)
      counts.add('closed')
    })
    return sent
  })
}

interface SlowOptions {
  readonly host: string
  readonly servername: string
  readonly port: number
  readonly ca: Buffer
  readonly agent: false
  readonly headers: Readonly<Record<string, string>>
}

function slow(
  endpoints: Endpoints,
  account: Full,
  name: string,
  count: number,
  begin: (options: SlowOptions, counts: Counts) => ReturnType<typeof request>,
): Pressure {
  const counts = new Counts()
  const servername = `${account.name}.openai.localhost`
  const headers = { host: `${servername}:${endpoints.port}`, 'api-key': account.apiKey }
  const ca = readFileSync(endpoints.caCertificate)
  const options: SlowOptions = { host: '127.0.0.1', servername, port: endpoints.port, ca, agent: false, headers }
  const all = Array.from({ length: count }, () => {
    const sent = begin(options, counts)
    sent.on('error', (error: NodeJS.ErrnoException) => counts.add(error.code ?? 'failed'))
    return sent
  })
  return { name, tally: () => counts.tally(), stop: () => all.forEach(sent => sent.destroy()) }
}

/** So many chats at a time, each asked again as soon as it was answered, one that was refused after a second. */
export function chats(endpoints: Endpoints, account: Full, count: number): Pressure {
  const counts = new Counts()
  const stopped = new AbortController()
  const url = `https://${account.name}${endpoints.openAiSuffix}/openai/v1/chat/completions`
  const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Say number 3.' }], max_tokens: 16 })
  const headers = { 'api-key': account.apiKey, 'content-type': 'application/json' }
  const asker = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        const response = await fetch(url, { method: 'POST', headers, body, signal: stopped.signal })
        await response.arrayBuffer()
        counts.add(`answered ${response.status}`)
        if (response.status !== 200) await new Promise(resolve => setTimeout(resolve, 1000).unref())
      } catch {
        if (!stopped.signal.aborted) counts.add('cut off')
        await new Promise(resolve => setTimeout(resolve, 1000).unref())
      }
    }
  }
  for (let n = 0; n < count; n += 1) void asker()
  return { name: `${count} chats at a time`, tally: () => counts.tally(), stop: () => stopped.abort() }
}

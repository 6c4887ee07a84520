import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { announcedLength } from './request-body.ts'

/** A client that takes nothing for so long is gone. */
const stalledMs = 120_000
const lingerMs = 2_000
const lingerBytes = 32 * 1024 * 1024
/** An unread body up to this size is read and dropped, so that the connection can be kept. */
const droppedBytes = 64 * 1024

type Reader = ReadableStreamDefaultReader<Uint8Array>

/** The first chunk of a body, read before the status line is sent: a body that fails at once can still become an error. */
export interface OpenedBody {
  readonly reader: Reader | undefined
  readonly first: Uint8Array | undefined
}

export async function openBody(response: Response, outgoing: ServerResponse): Promise<OpenedBody> {
  const reader = response.body?.getReader() as Reader | undefined
  const stop = () => void reader?.cancel().catch(() => undefined)
  outgoing.once('close', stop)
  try {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    return { reader: done ? undefined : reader, first: done ? undefined : value }
  } finally {
    outgoing.off('close', stop)
  }
}

/**
 * Sends a response. Resolves when its last byte is with the operating system.
 * A body that fails, or is not as long as announced, destroys the connection: it never looks complete.
 */
export async function writeResponse(
  response: Response,
  body: OpenedBody,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const unread = !incoming.complete && announcedLength(incoming) !== 0
  const lingers = unread && (announcedLength(incoming) ?? Infinity) > droppedBytes
  outgoing.writeHead(response.status, headerList(response.headers, lingers))
  if (incoming.method === 'HEAD') {
    await body.reader?.cancel().catch(() => undefined)
  } else {
    await writeBody(body, response.headers.get('content-length'), outgoing)
  }
  if (lingers) await dropRest(incoming)
  outgoing.end()
  if (unread) setTimeout(() => incoming.complete || incoming.destroy(), lingerMs).unref()
}

async function writeBody(body: OpenedBody, announced: string | null, outgoing: ServerResponse): Promise<void> {
  const { reader } = body
  let chunk = body.first
  let sent = 0
  const stop = () => void reader?.cancel().catch(() => undefined)
  outgoing.once('close', stop)
  try {
    while (chunk !== undefined) {
      sent += chunk.length
      // The chunk that completes an announced length waits for the body's own end: an error may still follow it.
      const held = announced !== null && sent >= Number(announced)
      const next: Uint8Array | undefined = held ? (await reader?.read())?.value : undefined
      if (held && (next !== undefined || sent > Number(announced)))
        throw new Error('The response is longer than announced.')
      if (!outgoing.write(chunk)) await drained(outgoing)
      // The reader's own end comes as `done`; after a disconnect there is nobody to read for.
      if (outgoing.destroyed) throw new Error('The client went away.')
      chunk = held ? undefined : (await reader?.read())?.value
    }
    if (announced !== null && sent !== Number(announced)) throw new Error('The response is shorter than announced.')
    if (outgoing.destroyed) throw new Error('The client went away.')
  } catch (error) {
    stop()
    outgoing.destroy()
    throw error
  } finally {
    outgoing.off('close', stop)
  }
}

async function drained(outgoing: ServerResponse): Promise<void> {
  if (outgoing.destroyed || !outgoing.writableNeedDrain) return
  const stalled = new AbortController()
  const timer = setTimeout(() => stalled.abort(new Error('The client stopped reading.')), stalledMs)
  const { signal } = stalled
  const gone = () => stalled.abort(new Error('The client went away.'))
  outgoing.once('close', gone)
  try {
    await once(outgoing, 'drain', { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    clearTimeout(timer)
    outgoing.off('close', gone)
  }
}

/** Reads on for a while after an early answer: a reset while the client still sends would take the answer from it. */
async function dropRest(incoming: IncomingMessage): Promise<void> {
  if (incoming.destroyed) return
  let dropped = 0
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, lingerMs)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    incoming.on('data', (chunk: Buffer) => {
      dropped += chunk.length
      if (dropped > lingerBytes) finish()
    })
    incoming.once('end', finish).once('close', finish)
    incoming.on('error', finish)
    incoming.resume()
  })
}

/** Names and values in turn. */
function headerList(headers: Headers, closes: boolean): string[] {
  const list = [...headers].filter(([name]) => name !== 'connection' && name !== 'transfer-encoding').flat()
  return closes ? [...list, 'connection', 'close'] : list
}

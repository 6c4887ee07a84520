import type { IncomingMessage, ServerResponse } from 'node:http'
import { announcedLength } from './request-body.ts'
import { bytesOf } from './respond.ts'

/** A client that reads nothing for so long is gone. */
const stalledMs = 120_000
const lingerMs = 2_000
const lingerBytes = 32 * 1024 * 1024
/** An unread body up to this size is read and dropped, so that the connection can be kept. */
const droppedBytes = 64 * 1024
/** How long a cut body may still tell its client why. */
const lastWordMs = 150

type Reader = ReadableStreamDefaultReader<Uint8Array>

/** The first chunk of a body. It is read before the status line is sent, so a body that fails at once can still become an error. */
export interface OpenedBody {
  readonly reader: Reader | undefined
  readonly first: Uint8Array | undefined
}

export async function openBody(response: Response, outgoing: ServerResponse): Promise<OpenedBody> {
  const known = bytesOf(response)
  if (known !== undefined) return { reader: undefined, first: known.length === 0 ? undefined : known }
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

interface Sent {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: OpenedBody
  /** See `cutBy`. */
  readonly cut?: AbortSignal | undefined
}

/**
 * Sends a response. Resolves when the operating system has its last byte.
 * A body that fails, or is not as long as announced, destroys the connection, so it never looks complete.
 */
export async function writeResponse(
  response: Sent,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { cut } = response
  const destroy = (): void => void setTimeout(() => outgoing.destroy(), lastWordMs)
  cut?.addEventListener('abort', destroy, { once: true })
  if (cut?.aborted === true) destroy()
  try {
    await writeWhole(response, incoming, outgoing)
  } finally {
    cut?.removeEventListener('abort', destroy)
  }
}

async function writeWhole(response: Sent, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { body } = response
  const unread = !incoming.complete && announcedLength(incoming) !== 0
  const lingers = unread && (announcedLength(incoming) ?? Infinity) > droppedBytes
  outgoing.writeHead(response.status, headerList(response.headers, lingers))
  if (incoming.method === 'HEAD') {
    await body.reader?.cancel().catch(() => undefined)
  } else {
    const last = await writeBody(body, response.headers['content-length'] ?? null, outgoing)
    // One write for head and body of a small response halves packets and TLS records.
    if (last && !lingers) outgoing.end(last)
    else if (last) outgoing.write(last)
  }
  if (lingers) await dropRest(incoming)
  if (!outgoing.writableEnded) outgoing.end()
  await settled(outgoing, 'finish')
  if (unread) setTimeout(() => incoming.complete || incoming.destroy(), lingerMs).unref()
}

/** Writes a body except for the chunk that completes an announced length, which it returns. */
async function writeBody(
  body: OpenedBody,
  announced: string | null,
  outgoing: ServerResponse,
): Promise<Uint8Array | undefined> {
  const { reader } = body
  let chunk = body.first
  let sent = 0
  const stop = () => void reader?.cancel().catch(() => undefined)
  outgoing.once('close', stop)
  try {
    while (chunk !== undefined) {
      sent += chunk.length
      // An error may still follow the chunk that completes an announced length, so it waits for the body's own end.
      if (announced !== null && sent >= Number(announced)) {
        const more = (await reader?.read())?.value
        if (more !== undefined || sent > Number(announced)) throw new Error('The response is longer than announced.')
        return chunk
      }
      if (!outgoing.write(chunk)) await settled(outgoing, 'drain')
      // A normal end comes as `done`. After a disconnect nobody reads.
      if (outgoing.destroyed) throw new Error('The client went away.')
      chunk = (await reader?.read())?.value
    }
    if (announced !== null && sent !== Number(announced)) throw new Error('The response is shorter than announced.')
    if (outgoing.destroyed) throw new Error('The client went away.')
    return undefined
  } catch (error) {
    stop()
    outgoing.destroy()
    throw error
  } finally {
    outgoing.off('close', stop)
  }
}

/** Waits until the client has read what is buffered. Throws when it goes away or reads nothing for two minutes. */
async function settled(outgoing: ServerResponse, event: 'drain' | 'finish'): Promise<void> {
  if (event === 'drain' ? !outgoing.writableNeedDrain : outgoing.writableFinished) return
  await new Promise<void>((resolve, reject) => {
    const done = (error?: Error) => {
      clearTimeout(timer)
      outgoing.off(event, taken).off('close', gone)
      if (error) outgoing.destroy()
      if (error) reject(error)
      else resolve()
    }
    const taken = () => done()
    const gone = () => done(new Error('The client went away.'))
    const timer = setTimeout(() => done(new Error('The client stopped reading.')), stalledMs)
    outgoing.once(event, taken).once('close', gone)
    if (outgoing.destroyed) gone()
  })
}

/** Reads on for a while after an early answer: a reset while the client still sends would lose the answer. */
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
function headerList(headers: Readonly<Record<string, string>>, closes: boolean): string[] {
  const list = Object.entries(headers)
    .filter(([name]) => name !== 'connection' && name !== 'transfer-encoding')
    .flat()
  return closes ? [...list, 'connection', 'close'] : list
}

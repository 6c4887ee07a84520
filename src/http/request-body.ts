import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { ZodType } from 'zod'
import { badBodyCode, fieldErrors } from './encode-error.ts'
import { AzureError } from './errors.ts'
import { nextTurn } from '../base/turns.ts'
import type { CallBody, HostName } from './route.ts'

const maxDepth = 64
/** Commas and colons outside of strings. No request needs more values, and reading them would hold up others for too long. */
const maxValues = 20_000
/** Bytes of a body that are scanned before others have their turn. */
const slice = 512 * 1024
/** How long we wait for a body altogether, plus the time that its bytes take at the slowest rate that we serve. */
const patienceMs = 30_000
const slowestBytesPerMs = 10

/** Bytes that the client announces; undefined for a chunked body. */
export function announcedLength(incoming: IncomingMessage): number | undefined {
  if (incoming.headers['transfer-encoding'] !== undefined) return undefined
  return Number(incoming.headers['content-length'] ?? 0)
}

export function tooLarge(limit: number): AzureError {
  const message = `The request body is larger than the ${limit} bytes that are taken here.`
  return new AzureError('RequestEntityTooLarge', 413, message)
}

/**
 * The body of a request, counted. Fails with 413 above `limit`, with 408 when the client is too slow
 * (only time that we wait for the client counts, not time that our reader takes), with 400 when it goes away.
 */
export class RequestBody extends Readable implements CallBody {
  readonly #incoming: IncomingMessage
  readonly #limit: number
  readonly #patience: number
  #received = 0
  #waited = 0
  #waitingSince: number | undefined
  #timer: NodeJS.Timeout | undefined
  #started = false

  constructor(incoming: IncomingMessage, limit: number, patience = patienceMs) {
    super({ highWaterMark: 256 * 1024 })
    this.#incoming = incoming
    this.#limit = limit
    this.#patience = patience
  }

  get received(): number {
    return this.#received
  }

  get waited(): number {
    return this.#waited + (this.#waitingSince === undefined ? 0 : performance.now() - this.#waitingSince)
  }

  override _read(): void {
    if (!this.#started) this.#start()
    this.#startWaiting()
    this.#incoming.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stopWaiting()
    this.#incoming.off('data', this.#take).off('end', this.#end).off('close', this.#gone)
    this.#incoming.pause()
    callback(error)
  }

  #start(): void {
    this.#started = true
    this.#incoming.on('data', this.#take).on('end', this.#end).on('close', this.#gone)
    // Without a listener an aborted request would be an uncaught error. `close` follows and is handled.
    this.#incoming.on('error', () => undefined)
    if (this.#incoming.destroyed && !this.#incoming.readableEnded) this.#gone()
  }

  readonly #take = (chunk: Buffer): void => {
    this.#stopWaiting()
    this.#received += chunk.length
    if (this.#received > this.#limit) {
      this.destroy(tooLarge(this.#limit))
    } else if (this.push(chunk)) {
      this.#startWaiting()
    } else {
      this.#incoming.pause()
    }
  }

  readonly #end = (): void => {
    this.#stopWaiting()
    this.push(null)
  }

  readonly #gone = (): void => {
    if (this.#incoming.readableEnded) return
    this.destroy(
      new AzureError('RequestAborted', 400, 'The client went away before it had sent the whole request body.'),
    )
  }

  #startWaiting(): void {
    if (this.#waitingSince !== undefined || this.destroyed) return
    this.#waitingSince = performance.now()
    const left = this.#patience + this.#received / slowestBytesPerMs - this.#waited
    this.#timer = setTimeout(
      () => {
        this.destroy(new AzureError('RequestTimeout', 408, 'The request body came too slowly.'))
      },
      Math.max(left, 0),
    )
  }

  #stopWaiting(): void {
    if (this.#waitingSince === undefined) return
    this.#waited += performance.now() - this.#waitingSince
    this.#waitingSince = undefined
    clearTimeout(this.#timer)
  }
}

/** Reads a JSON body and checks it against the schema. An empty body counts as absent, which a schema may allow. */
export async function readJson<T>(body: Readable, host: HostName, schema: ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await parseJson(await wholeBody(body), host))
  if (!parsed.success) throw fieldErrors(host, parsed.error)
  return parsed.data
}

/** Uses events, since an asynchronous iterator costs more than parsing a small body. */
function wholeBody(body: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    body.on('data', (chunk: Buffer) => chunks.push(chunk))
    body.once('end', () => resolve(Buffer.concat(chunks))).once('error', reject)
  })
}

async function parseJson(data: Buffer, host: HostName): Promise<unknown> {
  const refuse = (why: string) => new AzureError(badBodyCode(host), 400, why)
  if (data.length === 0) return undefined
  const shape = new JsonShape()
  for (let at = 0; at < data.length; at += slice) {
    if (at > 0) await nextTurn()
    shape.take(data.subarray(at, at + slice))
    if (shape.deepest > maxDepth) throw refuse(`The request body is nested more than ${maxDepth} levels deep.`)
    if (shape.values > maxValues) throw refuse(`The request body holds more than ${maxValues} JSON values.`)
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data))
  } catch {
    throw refuse('The request body is not valid JSON in UTF-8.')
  }
}

/** Levels of brackets, and commas and colons, outside of strings; found without recursion. */
class JsonShape {
  deepest = 0
  values = 0
  #depth = 0
  #quoted = false
  #escaped = false

  take(data: Buffer): void {
    let [depth, deepest, values, quoted, escaped] = [
      this.#depth,
      this.deepest,
      this.values,
      this.#quoted,
      this.#escaped,
    ]
    for (let at = 0; at < data.length && deepest <= maxDepth; at++) {
      const byte = data[at]
      if (escaped) escaped = false
      else if (quoted) {
        if (byte === 0x5c) escaped = true
        else if (byte === 0x22) quoted = false
      } else if (byte === 0x22) quoted = true
      else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, ++depth)
      else if (byte === 0x7d || byte === 0x5d) depth--
      else if (byte === 0x2c || byte === 0x3a) values++
    }
    this.#depth = depth
    this.deepest = deepest
    this.values = values
    this.#quoted = quoted
    this.#escaped = escaped
  }
}

export interface ResponseOptions {
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A JSON response with its length, as every plane sends them. */
export function json(body: unknown, options: ResponseOptions = {}): Response {
  return bytes(Buffer.from(JSON.stringify(body)), 'application/json; charset=utf-8', options)
}

export function text(body: string, options: ResponseOptions = {}): Response {
  return bytes(Buffer.from(body), 'text/plain; charset=utf-8', options)
}

const inMemory = new WeakMap<Response, Uint8Array>()

/** The bytes of a response that was made here from bytes; its own `body` is null. */
export function bytesOf(response: Response): Uint8Array | undefined {
  return inMemory.get(response)
}

/**
 * A response whose body is in memory, for `bytesOf`: a stream around it would cost more than the rest of the response. A `content-type`
 * in `options.headers` wins.
 */
export function bytes(body: Uint8Array<ArrayBuffer>, contentType: string, options: ResponseOptions = {}): Response {
  const headers = { 'content-type': contentType, 'content-length': String(body.length), ...options.headers }
  const response = new Response(null, { status: options.status ?? 200, headers })
  inMemory.set(response, body)
  return response
}

/**
 * A body from chunks that are made while it is read, one at a time. Its iterator is closed also where the reader leaves; Node's own
 * `Readable.toWeb` then throws past every handler, which ends the process. Resolves once the first chunk is made, so an error before
 * that is thrown before a response has begun.
 */
export async function bodyOf(chunks: AsyncIterable<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
  const iterator = chunks[Symbol.asyncIterator]()
  let next: Promise<IteratorResult<Uint8Array>> | undefined = Promise.resolve(await iterator.next())
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await (next ?? iterator.next())
      next = undefined
      if (done !== true) controller.enqueue(value)
      else controller.close()
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

const cuts = new WeakMap<Response, AbortSignal>()

/**
 * Ends a response's connection soon after the signal is aborted, at any point of the response, also when its client does not read.
 */
export function cutBy(response: Response, signal: AbortSignal): Response {
  cuts.set(response, signal)
  return response
}

/** The signal that `cutBy` gave to a response. */
export function cutOf(response: Response): AbortSignal | undefined {
  return cuts.get(response)
}

/** A response without a body: 202, 204 and the like. */
export function empty(status: number, headers: Readonly<Record<string, string>> = {}): Response {
  const bodyless = status === 204 || status === 304
  return new Response(null, { status, headers: bodyless ? headers : { 'content-length': '0', ...headers } })
}

import { AsyncLocalStorage } from 'node:async_hooks'
import type { PipelinePolicy, PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline'
import { wipe } from '../crypto/wrap.ts'
import { readBase64Url, writeBase64Url } from './base64url-bytes.ts'

interface Transfer {
  /** Sent in place of what the client library was given. */
  readonly sent?: Uint8Array
  /** Received in place of what the client library returns. */
  received?: Buffer | undefined
}

const transfers = new AsyncLocalStorage<Transfer>()

/** Does a wrapKey of `secret`, of which the client library only sees zeros. */
export function sending<T>(secret: Uint8Array, wrapKey: (stand: Uint8Array) => Promise<T>): Promise<T> {
  return transfers.run({ sent: secret }, () => wrapKey(new Uint8Array(secret.length)))
}

/** Does an unwrapKey. The client library only sees zeros of the result. Resolves to the secret, which the caller wipes. */
export async function receiving(unwrapKey: () => Promise<{ result: Uint8Array }>): Promise<Buffer> {
  const transfer: Transfer = {}
  const { result } = await transfers.run(transfer, unwrapKey)
  if (transfer.received !== undefined) return transfer.received
  const secret = Buffer.from(result)
  wipe(result)
  return secret
}

/**
 * Keeps data keys out of strings on their way to and from a vault. The client library would make a few strings of each, which can't be
 * overwritten. Here they are bytes, and are wiped. TLS and the socket have copies of their own.
 */
export const carrySecrets: PipelinePolicy = {
  name: 'ownkeyCarrySecrets',
  sendRequest: async (request, next) => {
    const transfer = transfers.getStore()
    if (transfer === undefined || !/\/(un)?wrapkey\?/i.test(request.url)) return next(request)
    if (transfer.sent !== undefined) return send(request, transfer.sent, next)
    request.streamResponseStatusCodes = new Set([200])
    const response = await next(request)
    if (response.readableStreamBody !== undefined) transfer.received = await receive(response)
    return response
  },
}

async function send(
  request: PipelineRequest,
  secret: Uint8Array,
  next: (request: PipelineRequest) => Promise<PipelineResponse>,
): Promise<PipelineResponse> {
  const { body } = request
  // The request for a challenge has no body.
  if (typeof body !== 'string') return next(request)
  const bytes = Buffer.from(body)
  const place = valueIn(bytes)
  if (place !== undefined) writeBase64Url(secret, place)
  request.body = bytes
  try {
    return await next(request)
  } finally {
    request.body = body
    wipe(bytes)
  }
}

async function receive(response: PipelineResponse): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  for await (const part of response.readableStreamBody as AsyncIterable<Buffer>) parts.push(part)
  delete (response as { readableStreamBody?: unknown }).readableStreamBody
  const bytes = Buffer.concat(parts)
  for (const part of parts) wipe(part)
  const place = valueIn(bytes)
  const secret = place === undefined ? undefined : readBase64Url(place)
  if (secret !== undefined) place?.fill('A')
  response.bodyAsText = bytes.toString('utf8')
  return secret
}

/** The position of the text of the field `value` in a JSON object. */
function valueIn(json: Buffer): Buffer | undefined {
  const name = json.indexOf('"value"')
  const colon = json.indexOf(':', name)
  const start = json.indexOf('"', colon) + 1
  const end = json.indexOf('"', start)
  return name < 0 || colon < 0 || start === 0 || end < 0 ? undefined : json.subarray(start, end)
}

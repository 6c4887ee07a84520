import type { Env } from '../base/env.ts'
import type { OpenAiCode } from '../http/error-codes.ts'
import { AzureError, NotFound } from '../http/errors.ts'
import { leaveOut, type Collection, type RecordStore } from '../store/records.ts'

export type IdPrefix = 'file-' | 'ftjob-' | 'ftevent-' | 'ftckpt-'

let last = 0n

/**
 * `<prefix><32 hex>`: 48 bits of milliseconds, then 80 random bits, so that ids sort by time of creation. Each sorts behind the one before
 * in this process, and behind `after`, also when the clock was set back. It is then a random step above them.
 */
export function newId(env: Env, prefix: IdPrefix, after?: string): string {
  const random = BigInt(`0x${env.randomBytes(10).toString('hex')}`)
  const behind = max(last, after === undefined ? 0n : numberOf(after))
  const fresh = (BigInt(env.now()) << 80n) | (random >> 1n)
  last = fresh > behind ? fresh : behind + (random >> 48n) + 1n
  return `${prefix}${last.toString(16).padStart(32, '0')}`
}

/** The last id of a list, by the prefix of its records. */
export async function lastIdOf(
  records: Pick<RecordStore, 'list'>,
  from: Collection<unknown>,
  prefix: string,
): Promise<string | undefined> {
  const [newest] = await records.list(from, { prefix, reverse: true, limit: 1, onTampered: leaveOut })
  return newest?.id.slice(prefix.length)
}

function numberOf(id: string): bigint {
  const digits = /[0-9a-f]{32}$/.exec(id)?.[0]
  return digits === undefined ? 0n : BigInt(`0x${digits}`)
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

/** @throws 404 notFound for an id that no object of this kind can have */
export function checkId(id: string, prefix: IdPrefix, what: string): string {
  if (id.startsWith(prefix) && /^[0-9a-f]{32}$/.test(id.slice(prefix.length))) return id
  throw notFound(what, id)
}

export function notFound(what: string, id: string): NotFound {
  return new NotFound('notFound', `The ${what} '${id.slice(0, 128)}' was not found in this resource.`)
}

export function badRequest(message: string, target?: string, code: OpenAiCode = 'invalidPayload'): AzureError {
  return new AzureError(code, 400, message, target === undefined ? {} : { target })
}

/** The recorded text for a message that repeats parts of the body. */
export function badBody(message: string, target?: string, code: OpenAiCode = 'invalidPayload'): AzureError {
  const recorded = 'The request body does not fit.'
  return new AzureError(code, 400, message, { recorded, ...(target === undefined ? {} : { target }) })
}

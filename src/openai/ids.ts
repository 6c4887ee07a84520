import type { Env } from '../env.ts'
import { AzureError, NotFound } from '../http/errors.ts'

export type IdPrefix = 'file-' | 'ftjob-' | 'ftevent-' | 'ftckpt-'

let last = { time: -1, rest: 0n }

/**
 * `<prefix><32 hex>`: 48 bits of milliseconds, then 80 random bits, so that ids sort by time of creation.
 * Those of one millisecond sort too: each begins a random step above the one before.
 */
export function newId(env: Env, prefix: IdPrefix): string {
  const time = env.now()
  const random = BigInt(`0x${env.randomBytes(10).toString('hex')}`)
  const next = last.rest + (random >> 48n) + 1n
  const rest = time === last.time && next < 2n ** 80n ? next : random >> 1n
  last = { time, rest }
  return `${prefix}${time.toString(16).padStart(12, '0')}${rest.toString(16).padStart(20, '0')}`
}

/** @throws 404 notFound for an id that no object of this kind can have */
export function checkId(id: string, prefix: IdPrefix, what: string): string {
  if (id.startsWith(prefix) && /^[0-9a-f]{32}$/.test(id.slice(prefix.length))) return id
  throw notFound(what, id)
}

export function notFound(what: string, id: string): NotFound {
  return new NotFound('notFound', `The ${what} '${id.slice(0, 128)}' was not found in this resource.`)
}

export function badRequest(message: string, target?: string, code = 'invalidPayload'): AzureError {
  return new AzureError(code, 400, message, target === undefined ? {} : { target })
}

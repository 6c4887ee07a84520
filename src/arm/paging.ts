import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call } from '../http/route.ts'

const MAX_PAGE = 1000

/** One page of a list by `$top` and `$skiptoken`, with the next page's address. @throws 400 InvalidTop, InvalidSkipToken */
export function page<T>(call: Call, items: readonly T[], show: (item: T) => object): Response {
  const top = wholeNumber(call.query.get('$top'), MAX_PAGE, `$top must be a whole number from 1 to ${MAX_PAGE}.`)
  const from = skipped(call.query.get('$skiptoken'))
  const size = Math.min(Math.max(top, 1), MAX_PAGE)
  const value = items.slice(from, from + size).map(show)
  if (from + size >= items.length) return json({ value })
  const next = new URL(call.url)
  next.searchParams.set('$skiptoken', Buffer.from(String(from + size)).toString('base64url'))
  return json({ value, nextLink: next.href })
}

function skipped(token: string | undefined): number {
  if (token === undefined || token === '') return 0
  const text = Buffer.from(token.slice(0, 64), 'base64url').toString('latin1')
  if (/^\d{1,9}$/.test(text) && Buffer.from(text).toString('base64url') === token) return Number(text)
  throw invalidSkipToken()
}

/** For lists whose tokens have another content. */
export function invalidSkipToken(): AzureError {
  return new AzureError(
    'InvalidSkipToken',
    400,
    'The $skiptoken is not one of this service: follow nextLink as it is.',
    { target: '$skiptoken' },
  )
}

function wholeNumber(text: string | undefined, otherwise: number, message: string): number {
  if (text === undefined || text === '') return otherwise
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new AzureError('InvalidTop', 400, message)
}

import type { Call } from '../http/route.ts'
import type { Collection, RecordStore, Stored } from '../store/records.ts'
import { badParameter } from './errors.ts'

/** Azure's largest page of keys. */
const MAX_RESULTS = 25
/** The most records that are looked at for one page, so that a filter that skips many does not make a request long. */
const MAX_SCANNED = 250

export interface Page<T> {
  readonly items: readonly Stored<T>[]
  /** Absolute, absent on the last page. */
  readonly nextLink: string | undefined
}

/**
 * One page of the records whose ids begin with `prefix`, by `maxresults` and the opaque `$skiptoken` of the request.
 * A page may be short, even empty, and still have a next one. @throws 400 BadParameter
 */
export async function listPage<T>(
  call: Call,
  records: RecordStore,
  from: Collection<T>,
  prefix: string,
  keep: (value: T) => boolean = () => true,
): Promise<Page<T>> {
  const size = pageSize(call)
  const after = skipToken(call, prefix)
  const scanned = await records.list(from, { prefix, limit: MAX_SCANNED, ...(after === undefined ? {} : { after }) })
  const items: Stored<T>[] = []
  let last: string | undefined
  for (const record of scanned) {
    if (items.length === size) return { items, nextLink: nextLink(call, last ?? '', prefix, size) }
    if (keep(record.value)) items.push(record)
    last = record.id
  }
  const more = scanned.length === MAX_SCANNED
  return { items, nextLink: more ? nextLink(call, last ?? '', prefix, size) : undefined }
}

function pageSize(call: Call): number {
  const text = call.query.get('maxresults')
  if (text === undefined || text === '') return MAX_RESULTS
  const size = Number(text)
  if (/^\d{1,3}$/.test(text) && size >= 1 && size <= MAX_RESULTS) return size
  throw badParameter(`'maxresults' must be a whole number from 1 to ${MAX_RESULTS}.`, 'maxresults')
}

/** The token holds only the part after the prefix, so one vault's token can't look into another vault. */
function skipToken(call: Call, prefix: string): string | undefined {
  const token = call.query.get('$skiptoken')
  if (token === undefined || token === '') return undefined
  const rest = Buffer.from(token, 'base64url').toString()
  if (/^[\w-]{1,200}$/.test(rest)) return prefix + rest
  throw badParameter("'$skiptoken' was not returned by this list.", '$skiptoken')
}

function nextLink(call: Call, last: string, prefix: string, size: number): string {
  const token = Buffer.from(last.slice(prefix.length)).toString('base64url')
  const version = encodeURIComponent(call.query.get('api-version') ?? '')
  return `${call.origin}${call.url.pathname}?api-version=${version}&$skiptoken=${token}&maxresults=${size}`
}

import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { formatKnownHead, parseKnownHead, presentHead } from '../store/known-head.ts'
import type { RecordStore } from '../store/records.ts'
import { parseSince, readAudit, type AuditRecord } from './read-audit.ts'
import { noteOperation } from './request-context.ts'
import { verifyRecords } from './verify-folder.ts'

/** Names of principals for people, by object id. */
export type NameOf = (objectId: string) => Promise<string | undefined>

const PATH = '/ownkey/audit'
const MAX_PAGE = 1000

export interface AuditRoutesOptions {
  readonly log: Pick<AuditLog, 'list' | 'verify'>
  readonly records: RecordStore
  readonly env: Env
  readonly nameOf: NameOf
}

/** The audit log for its administrator: a page of records, the head, and whether the log and all records are as they were written. */
export function auditRoutes({ log, records, env, nameOf }: AuditRoutesOptions): Route[] {
  const base = { host: 'management', auth: 'administrator', method: 'GET', maxBody: 0 } as const
  return [
    {
      ...base,
      path: PATH,
      handler: async call => {
        const after = wholeNumber(call, 'after')
        noteOperation({ operationName: 'OwnKey/audit/read' })
        // Reading is recorded once, not for each page. Otherwise somebody who follows the log would see their own requests for ever.
        if ((after ?? 0) > 0) noteOperation({ unrecorded: true })
        const page = await readAudit(log, {
          after,
          limit: Math.min(wholeNumber(call, 'limit') ?? MAX_PAGE, MAX_PAGE),
          newestFirst: call.query.get('newestfirst') === 'true',
          vault: call.query.get('vault'),
          since: since(call, env),
        })
        return json({ ...page, names: await namesOf(page.records, nameOf) })
      },
    },
    {
      ...base,
      path: `${PATH}/verify`,
      handler: async call => {
        noteOperation({ operationName: 'OwnKey/audit/verify' })
        const entries = wholeNumber(call, 'entries')
        const head = call.query.get('head')
        const known = entries === undefined || head === undefined ? undefined : { entries, head }
        const kept = call.query.get('knownhead')
        const verdict = await log.verify(known)
        const found = await verifyRecords(records, log, kept === undefined ? undefined : checkedHead(kept))
        return json({ time: new Date(env.now()).toISOString(), ...verdict, records: found })
      },
    },
    {
      ...base,
      path: `${PATH}/head`,
      handler: async () => {
        noteOperation({ operationName: 'OwnKey/audit/head' })
        return json({ head: formatKnownHead(await presentHead(records, log)) })
      },
    },
  ]
}

/** Names of the principals in the records, by object id. */
export async function namesOf(records: readonly AuditRecord[], nameOf: NameOf): Promise<Record<string, string>> {
  const ids = new Set(records.flatMap(({ entry }) => objectIdOf(entry) ?? []))
  const found = await Promise.all([...ids].map(async id => [id, await nameOf(id)] as const))
  return Object.fromEntries(found.flatMap(([id, name]) => (name === undefined ? [] : [[id, name] as const])))
}

/** The principal who called or logged in, if there was one. */
export function objectIdOf(entry: AuditRecord['entry']): string | undefined {
  const { claim } = (entry.identity ?? {}) as { claim?: Readonly<Record<string, unknown>> }
  const id = claim?.['http://schemas.microsoft.com/identity/claims/objectidentifier']
  // At a login the caller is not known when the call comes; the record says who it was.
  const { objectId } = (entry.properties ?? {}) as { objectId?: unknown }
  const known = id ?? objectId
  return typeof known === 'string' ? known : undefined
}

function checkedHead(text: string): string {
  try {
    return formatKnownHead(parseKnownHead(text))
  } catch (error) {
    throw new AzureError('BadRequest', 400, error instanceof Error ? error.message : String(error), {
      target: 'knownhead',
    })
  }
}

function since(call: Call, env: Env): number | undefined {
  const text = call.query.get('since')
  if (text === undefined) return undefined
  const time = parseSince(text, env.now())
  if (time !== undefined) return time
  throw new AzureError(
    'BadRequest',
    400,
    `'${text.slice(0, 40)}' is not a time: use for example 2026-01-31, 2026-01-31T08:00:00Z, or 24h, 7d.`,
    { target: 'since' },
  )
}

function wholeNumber(call: Call, name: string): number | undefined {
  const text = call.query.get(name)
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new AzureError('BadRequest', 400, `'${name}' must be a whole number.`, { target: name })
}

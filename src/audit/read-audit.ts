import type { AuditLog } from '../store/audit-log.ts'
import type { AuditEntry } from '../store/audit-entry.ts'
import { giveWay } from '../base/turns.ts'

export interface AuditRecord {
  readonly sequence: number
  readonly hash: string
  readonly entry: AuditEntry
}

export interface AuditFilter {
  /** Name of a key vault, in any letter case. */
  readonly vault?: string | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
}

export interface AuditPageOptions extends AuditFilter {
  /** Only records after (with `newestFirst`: before) this sequence number. */
  readonly after?: number | undefined
  readonly limit: number
  readonly newestFirst?: boolean
}

export interface AuditPage {
  readonly records: readonly AuditRecord[]
  /** The last sequence number that was looked at: the next page begins after (with `newestFirst`: before) it. */
  readonly end: number
  /** False when the log has no more for now. */
  readonly more: boolean
}

/** The most records that are looked at for one page, so that a filter that fits nothing does not make a request long. */
const MAX_SCANNED = 4000
/** How many at a time, before others have their turn. */
const CHUNK = 100

/** One page of the log. A page may be short, even empty, and still have a next one. */
export async function readAudit(log: Pick<AuditLog, 'list'>, options: AuditPageOptions): Promise<AuditPage> {
  const { limit, newestFirst = false } = options
  const records: AuditRecord[] = []
  let end = options.after
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += CHUNK) {
    await giveWay()
    const chunk = await log.list({
      limit: CHUNK,
      reverse: newestFirst,
      ...(end === undefined ? {} : { after: end }),
    })
    for (const record of chunk) {
      if (records.length === limit) return { records, end: end ?? 0, more: true }
      if (fits(record.entry, options)) records.push(record)
      end = record.sequence
    }
    if (chunk.length < CHUNK) return { records, end: end ?? 0, more: false }
  }
  return { records, end: end ?? 0, more: true }
}

function fits({ time, resourceId = '', properties }: AuditEntry, { vault, since }: AuditFilter): boolean {
  if (since !== undefined && Date.parse(time) < since) return false
  if (vault === undefined) return true
  const { id } = (properties ?? {}) as { id?: unknown }
  return [resourceId, id].some(text => typeof text === 'string' && namesVault(text, vault))
}

/** Resource ids of live and of deleted vaults. */
function namesVault(id: string, vault: string): boolean {
  const segments = id.toLowerCase().split('/')
  return segments.some(
    (segment, at) => (segment === 'vaults' || segment === 'deletedvaults') && segments[at + 1] === vault.toLowerCase(),
  )
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds since 1970 of `2026-01-31`, `2026-01-31T08:00:00Z`, or `90m`, `24h`, `7d` before now; undefined for anything else. */
export function parseSince(text: string, now: number): number | undefined {
  const ago = /^(\d{1,6})([smhd])$/.exec(text.trim())
  if (ago !== null) return now - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0)
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/i.test(text.trim())) return undefined
  const hasZone = /(Z|[+-]\d\d:\d\d)$/i.test(text.trim())
  const time = Date.parse(text.includes('T') && !hasZone ? `${text.trim()}Z` : text.trim())
  return Number.isNaN(time) ? undefined : time
}

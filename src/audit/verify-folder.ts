import type { AuditLog } from '../store/audit-log.ts'
import { faultAgainst, formatKnownHead, parseKnownHead, presentHead } from '../store/known-head.ts'
import type { RecordStore } from '../store/records.ts'

/** The result of checking all records. */
export interface RecordsFinding {
  readonly ok: boolean
  readonly records: number
  /** The first 100 records whose MAC does not fit. */
  readonly tampered: readonly { readonly collection: string; readonly id: string }[]
  /** Why the set of records is not the one that was written last, or not the one of the known head. */
  readonly reason?: string
  /** What to keep elsewhere: see known-head.ts. */
  readonly head?: string
}

/** Checks every record against its MAC, the set of records against its head, and the head against one that was kept elsewhere. */
export async function verifyRecords(
  records: RecordStore,
  log: Pick<AuditLog, 'list'>,
  knownHead?: string,
): Promise<RecordsFinding> {
  const known = knownHead === undefined ? undefined : parseKnownHead(knownHead)
  const { records: count, tampered, changed, head } = await records.verify()
  const isNamed = head !== undefined && changed === undefined
  const fault = known === undefined || !isNamed ? undefined : await faultAgainst(known, records, log)
  const reason =
    changed?.message ?? (fault === undefined ? undefined : `The folder is not the one that was known: ${fault}.`)
  return {
    ok: tampered.length === 0 && reason === undefined,
    records: count,
    tampered,
    ...(reason === undefined ? {} : { reason }),
    ...(isNamed ? { head: formatKnownHead(await presentHead(records, log)) } : {}),
  }
}

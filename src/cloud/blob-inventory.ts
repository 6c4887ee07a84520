import { plainError } from '../base/plain-error.ts'
import { lookAtFile } from '../folder/sealed-file.ts'
import { QUARANTINE_DAYS } from './orphan-collector.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { Quarantine } from '../store/quarantine.ts'

const DAY_MS = 86_400_000
/** A crash leaves as many blobs without a record as there were uploads at that moment, which are fewer than this. */
const FEW = 100
const NAMED = 5

export interface InventoryOptions {
  readonly blobs: BlobStore
  readonly quarantine: Quarantine
  /** The blobs that records name and that must be there. */
  readonly referenced: ReadonlyMap<string, { readonly storedSize: number; readonly header: string }>
  /** Blobs whose purge was broken off. They may be there or not, and the purge goes on. */
  readonly going?: ReadonlySet<string>
  /** The operator has said to go on, however many are missing or without a record. */
  readonly accept: boolean
  /** The folder of the blobs, for messages. */
  readonly folder: string
  readonly audit: Pick<AuditLog, 'append'>
  readonly log: (line: object) => void
  /** This machine's time in ms, since a moved clock must not make anything old. */
  readonly now?: number
  /** The time of the last audit record before this start in ms, so that a wrong clock at a start does not make anything old either. */
  readonly last?: number | undefined
}

/**
 * Compares the blobs with the records at start, before anything creates blobs. Blobs that a record names come back from the quarantine.
 * Blobs without a record go there for a week, and are deleted only then.
 * @throws Error where so many are missing or without a record that records and blobs are not of one moment
 */
export async function compareBlobs(options: InventoryOptions): Promise<void> {
  const { blobs, quarantine, referenced, going, accept, now = Date.now(), last = now } = options
  const present = new Set<string>()
  for await (const id of blobs.list()) present.add(id)
  await quarantine.list()
  const missing: string[] = []
  const back: { readonly id: string; readonly path: string }[] = []
  for (const [id, record] of referenced) {
    if (present.has(id)) continue
    const path = await quarantine.find(id, candidate => isBlobOf(record, candidate))
    if (path === undefined) missing.push(id)
    else back.push({ id, path })
  }
  const orphans = [...present].filter(id => !referenced.has(id) && going?.has(id) !== true)
  if (!accept) refuseTooMany(options, { missing, orphans, present: present.size })
  for (const { id, path } of back) await quarantine.giveBack(id, path)
  for (const id of orphans) await quarantine.take(id, dayOf(Math.max(now, last)))
  const { deleted, kept } = await quarantine.deleteBefore(dayOf(Math.min(now, last) - QUARANTINE_DAYS * DAY_MS))
  // Nothing depends on these, so they must not prevent a start.
  if (kept.length > 0)
    options.log({
      level: 'error',
      message: `Blobs of the quarantine that are due can't be deleted: ${kept.length}.`,
      error: plainError(kept[0]),
    })
  await report(options, { missing, orphans, back: back.length, deleted })
}

/** Of several files with one name, from a re-encryption that began anew, only one fits the record. */
async function isBlobOf({ storedSize, header }: { storedSize: number; header: string }, path: string) {
  const file = await lookAtFile(path)
  return file?.size === storedSize && file.header === header
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

interface Found {
  readonly missing: readonly string[]
  readonly orphans: readonly string[]
}

function refuseTooMany(
  { folder, referenced }: InventoryOptions,
  { missing, orphans, present }: Found & { readonly present: number },
): void {
  const advice = `Nothing was changed or deleted. Put ${folder} and records.db of one and the same moment back. If these are the right ones, start once with --accept-changed-records.`
  const isManyMissing =
    missing.length > FEW ? missing.length * 10 > referenced.size : missing.length * 2 > referenced.size
  if (missing.length > 1 && isManyMissing)
    throw new Error(
      `${missing.length} of the ${referenced.size} blobs that records name are not in ${folder}: is its disk mounted? ${advice}`,
    )
  if (orphans.length > FEW && orphans.length * 10 > present)
    throw new Error(
      `${orphans.length} of the ${present} blobs in ${folder} are named by no record: the records are not of the same time. ${advice}`,
    )
}

async function report(
  { audit, log }: InventoryOptions,
  { missing, orphans, back, deleted }: Found & { readonly back: number; readonly deleted: number },
): Promise<void> {
  const say = async (level: 'error' | 'warning', operation: string, message: string, count: number): Promise<void> => {
    log({ level, message })
    const entry = {
      operationName: `OwnKey/blobs/${operation}`,
      category: 'AuditEvent',
      resultType: level === 'error' ? 'Failed' : 'Success',
      resultDescription: message,
      callerIpAddress: 'service',
      properties: { count },
    } as const
    // A crash on a full disk leaves such files, which must not prevent a start.
    await audit.append(entry, [], { reserve: 'small' })
  }
  const named = (ids: readonly string[]): string =>
    `${ids.slice(0, NAMED).join(', ')}${ids.length > NAMED ? ', …' : ''}`
  if (missing.length > 0)
    await say(
      'error',
      'missing',
      `Blobs that records name are missing: ${missing.length} (${named(missing)}).`,
      missing.length,
    )
  if (back > 0)
    await say('warning', 'restored', `Blobs that records name again came back from the quarantine: ${back}.`, back)
  if (orphans.length > 0)
    await say(
      'warning',
      'quarantined',
      `Blobs that no record names were set aside in blobs/quarantine for ${QUARANTINE_DAYS} days: ${orphans.length} (${named(orphans)}).`,
      orphans.length,
    )
  if (deleted > 0)
    await say(
      'warning',
      'deleted',
      `Blobs that no record named for ${QUARANTINE_DAYS} days were deleted: ${deleted}.`,
      deleted,
    )
}

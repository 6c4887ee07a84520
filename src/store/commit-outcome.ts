import { existsSync, readFileSync } from 'node:fs'
import type { SetHead } from './record-set.ts'
import { CommitUnknown, refusalOf, StorageRefused } from './storage-errors.ts'

/** https://www.sqlite.org/rescode.html: SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC. */
const SYNC_CODES = new Set([1034, 1290])

/**
 * The outcome of a failed transaction. Before its COMMIT, and where SQLite says that the disk is full, nothing was written. A COMMIT
 * whose writes failed otherwise is unknown, unless the log certainly lacks it: the head is among the pages before the commit mark, and
 * no other transaction has the same head.
 * @param attempted the log, and the heads of the COMMIT; undefined before it
 */
export function outcomeOf(
  error: unknown,
  attempted: { readonly log: string; readonly heads: readonly SetHead[] } | undefined,
): unknown {
  const refused = refusalOf(error)
  if (attempted === undefined) return refused
  if (refused instanceof StorageRefused && (refused.reason === 'full' || !isInLog(attempted))) return refused
  return new CommitUnknown(error)
}

function isInLog({ log, heads }: { readonly log: string; readonly heads: readonly SetHead[] }): boolean {
  const [head] = heads
  if (head === undefined) return true
  try {
    return existsSync(log) && readFileSync(log).includes(head.tag)
  } catch {
    return true
  }
}

/** Whether a checkpoint or a scrub failed in a sync, so that its unwritten pages count as clean from then on. */
export function isFailedSync(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('errcode' in error) return SYNC_CODES.has(Number(error.errcode))
  return 'syscall' in error && (error.syscall === 'fsync' || error.syscall === 'fdatasync')
}

import { FailedSync } from '../base/failed-sync.ts'
import { AzureError } from '../http/errors.ts'
import { ShredIncomplete } from './records.ts'
import { troubleOf, type StorageTrouble } from './storage-trouble.ts'

/** Seconds after which a client may ask again. */
const RETRY_AFTER = { 'retry-after': '10' }

const MESSAGES = {
  full: 'The disk of this service is full: nothing was stored or changed. What needs no room goes on (reading, chats, deletions). Ask again later, or let its operator make room.',
  unwritable:
    'The disk of this service currently takes no writes: nothing was stored or changed. What needs none goes on. Ask again later; its operator looks after the disk.',
  ended: 'This service is ending because its disk failed: nothing was stored or changed. Ask again in a moment.',
} as const

/** The disk refused a write, and nothing was written: 507 where it is full, else 503. It may be repeated, and its preparations undone. */
export class StorageRefused extends AzureError {
  readonly reason: keyof typeof MESSAGES

  constructor(reason: keyof typeof MESSAGES, cause?: unknown) {
    const isFull = reason === 'full'
    const code = isFull ? 'InsufficientStorage' : 'StorageUnavailable'
    super(code, isFull ? 507 : 503, MESSAGES[reason], { headers: RETRY_AFTER, cause })
    this.name = 'StorageRefused'
    this.reason = reason
  }
}

/**
 * ADR 0023: it is not known whether this commit is on the disk. The next start finds it whole or not at all. Nothing that it names may be
 * undone, and nothing may be repeated that must not happen twice.
 */
export class CommitUnknown extends AzureError {
  constructor(cause: unknown) {
    super(
      'OutcomeUnknown',
      500,
      'The disk of this service failed while this was being stored: it is not known whether it was. The service restarts; look whether it is there before you repeat it.',
      { headers: { 'x-should-retry': 'false' }, cause },
    )
    this.name = 'CommitUnknown'
  }
}

/** Whether a commit with this error has certainly left nothing, so that its preparations may be undone. */
export function leftNothing(error: unknown): boolean {
  return !(error instanceof CommitUnknown || error instanceof ShredIncomplete)
}

/** For the `catch` of a shredded commit whose old bytes a later one erases: that throws ShredIncomplete where it can't. */
export function unlessMade(error: unknown): void {
  if (!(error instanceof ShredIncomplete)) throw error
}

/** The error for a failed call of the file system, or of SQLite before its COMMIT; other errors stay as they are. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AzureError) return error
  if (error instanceof FailedSync) return new StorageRefused('ended', error)
  const trouble = troubleOf(error)
  return trouble === undefined ? error : new StorageRefused(trouble === 'full' ? 'full' : 'unwritable', error)
}

/** The trouble behind an error of a write, or behind its cause; undefined when it is something else. */
export function storageTrouble(error: unknown): StorageTrouble | undefined {
  if (!(error instanceof Error)) return undefined
  const trouble = troubleOf(error) ?? storageTrouble(error.cause)
  // Refused before anything was tried: the remaining space is kept for other commits.
  if (trouble !== undefined || !(error instanceof StorageRefused)) return trouble
  return error.reason === 'full' ? 'full' : 'failing'
}

import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs'
import { failedSync, onFailedSync } from '../base/failed-sync.ts'
import { CommitUnknown } from './storage-errors.ts'

/**
 * Syncs SQLite's write-ahead log to the disk off the main thread. Callers during a sync share the next one, so the busier the
 * store, the more commits share a sync.
 */
export interface LogSync {
  /** Resolves when everything that was written to the log before this call is on the disk. @throws CommitUnknown, also at every later call */
  durable(): Promise<void>
  /** The same, synchronously. */
  durableNow(): void
  /** The failure after which nothing counts as durable any more. */
  readonly failure: CommitUnknown | undefined
  /** Nothing that was written counts as durable any more, so the process ends. */
  fail(cause: unknown): CommitUnknown
  close(): void
}

/** SQLite holds its locks on the database file, never on the log, so the log may be opened and closed here. */
export function openLogSync(path: string): LogSync {
  const file = openSync(`${path}-wal`, 'r+')
  let waiting: PromiseWithResolvers<void> | undefined
  let running = false
  let closed = false
  let failure: CommitUnknown | undefined

  // After a failed sync the whole process takes no more writes, also to another file.
  const forget = onFailedSync(cause => (failure ??= new CommitUnknown(cause)))
  const fail = (cause: unknown): CommitUnknown => {
    const error = failure ?? new CommitUnknown(failedSync('the record database', cause))
    return failure ?? error
  }

  function start(): void {
    const served = waiting
    if (running || served === undefined) return
    waiting = undefined
    running = true
    fdatasync(file, error => {
      running = false
      if (error) fail(error)
      if (failure) served.reject(failure)
      else served.resolve()
      if (closed) closeSync(file)
      else start()
    })
  }

  return {
    durable() {
      // The kernel counts the pages of a failed sync as clean, so a later sync would succeed without having written them.
      if (failure) return Promise.reject(failure)
      waiting ??= Promise.withResolvers<void>()
      const { promise } = waiting
      start()
      return promise
    },
    durableNow() {
      if (failure) throw failure
      try {
        fdatasyncSync(file)
      } catch (error) {
        throw fail(error)
      }
    },
    get failure() {
      return failure
    },
    fail,
    close() {
      closed = true
      forget()
      // The caller that closes it has synced what was written, unless that failed.
      if (failure) waiting?.reject(failure)
      else waiting?.resolve()
      if (!running) closeSync(file)
    },
  }
}

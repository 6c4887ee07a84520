import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs'
import { failedSync, onFailedSync } from '../base/failed-sync.ts'
import { CommitUnknown } from './storage-errors.ts'

/**
 * Brings SQLite's write-ahead log to the disk off the main thread. Whoever asks while a sync runs shares the next one: the busier
 * the store, the more commits a sync carries.
 */
export interface LogSync {
  /** Resolves when everything that was written to the log before this call is on disk. @throws CommitUnknown, from then on for ever */
  durable(): Promise<void>
  /** The same, now. */
  durableNow(): void
  /** Why nothing is durable any more. */
  readonly failure: CommitUnknown | undefined
  /** Nothing that was written can be called durable any more: the process ends. */
  fail(cause: unknown): CommitUnknown
  close(): void
}

/** SQLite holds its locks on the database file, never on the log: this file may be opened and closed beside it. */
export function openLogSync(path: string): LogSync {
  const file = openSync(`${path}-wal`, 'r+')
  let waiting: PromiseWithResolvers<void> | undefined
  let running = false
  let closed = false
  let failure: CommitUnknown | undefined

  // Of another file too: the whole process takes no more writes.
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
      // What a failed sync left behind counts as clean for the kernel: a later one would succeed without having written it.
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
      // Who closes it has made durable what was written, unless that failed.
      if (failure) waiting?.reject(failure)
      else waiting?.resolve()
      if (!running) closeSync(file)
    },
  }
}

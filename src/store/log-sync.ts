import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs'

/**
 * Brings SQLite's write-ahead log to the disk off the main thread. Whoever asks while a sync runs shares the next one: the busier
 * the store, the more commits a sync carries.
 */
export interface LogSync {
  /** Resolves when everything that was written to the log before this call is on disk. @throws Error, from then on for ever */
  durable(): Promise<void>
  /** The same, now. */
  durableNow(): void
  close(): void
}

/** SQLite holds its locks on the database file, never on the log: this file may be opened and closed beside it. */
export function openLogSync(path: string): LogSync {
  const file = openSync(`${path}-wal`, 'r+')
  let waiting: PromiseWithResolvers<void> | undefined
  let running = false
  let closed = false
  let failure: Error | undefined

  function start(): void {
    const served = waiting
    if (running || served === undefined) return
    waiting = undefined
    running = true
    fdatasync(file, error => {
      running = false
      if (error) failure ??= failureOf(error)
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
        throw (failure = failureOf(error as Error))
      }
    },
    close() {
      closed = true
      waiting?.resolve()
      if (!running) closeSync(file)
    },
  }
}

function failureOf(error: Error): Error {
  return new Error(
    `The disk failed to make the record database durable (${error.message}). Stop OwnKey, look after the disk, and start again.`,
    { cause: error },
  )
}

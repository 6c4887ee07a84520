const listeners = new Set<(error: FailedSync) => void>()

/**
 * A sync failed, and nothing shows it later: the kernel counts the unwritten pages as clean, so the next sync succeeds
 * without having written it (https://wiki.postgresql.org/wiki/Fsync_Errors). The process takes no more writes and ends (ADR 0023).
 */
export class FailedSync extends Error {
  constructor(what: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      `The disk failed to make ${what} durable (${why}). What was being stored may be there or not; nothing of it was undone. Look after the disk, then start OwnKey again.`,
      { cause },
    )
    this.name = 'FailedSync'
  }
}

/** Tells the listener of each failed sync. The function that is returned ends that. */
export function onFailedSync(listener: (error: FailedSync) => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Tells all listeners, and returns the error to throw. */
export function failedSync(what: string, cause: unknown): FailedSync {
  const error = new FailedSync(what, cause)
  for (const listener of listeners) listener(error)
  return error
}

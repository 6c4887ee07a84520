export interface Repeating {
  /** Waits for the run under way. With `finally` it then runs a last time. */
  stop(last?: 'finally'): Promise<void>
}

const AFTER_FAILURE_MS = 30_000

/** Runs something again and again, never twice at a time; after a failure only `AFTER_FAILURE_MS` later. */
export function repeatedly(run: () => Promise<void>, everyMs: number, onFailure: (error: unknown) => void): Repeating {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false
  const once = async (): Promise<void> => {
    let wait = everyMs
    try {
      await run()
    } catch (error) {
      wait = Math.max(everyMs, AFTER_FAILURE_MS)
      onFailure(error)
    }
    if (stopped) return
    timer = setTimeout(() => {
      running = once()
    }, wait)
    timer.unref()
  }
  running = once()
  return {
    async stop(last) {
      stopped = true
      clearTimeout(timer)
      await running
      if (last === 'finally') await once()
    },
  }
}

import { setTimeout as sleep } from 'node:timers/promises'

/** Limits the rate of all bytes that pass through it. */
export interface Pace {
  through(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}

const MEBIBYTE = 1024 * 1024
/** Shorter waits cost more than they save. Milliseconds. */
const MIN_WAIT_MS = 10

/** @param mebibytesPerSecond undefined: no limit. The signal ends a passage with its reason, and a wait in it. */
export function pace(mebibytesPerSecond: number | undefined, signal: AbortSignal): Pace {
  /** When what has passed so far was due, in monotonic milliseconds. */
  let due = performance.now()
  return {
    async *through(bytes) {
      for await (const chunk of bytes) {
        signal.throwIfAborted()
        yield chunk
        if (mebibytesPerSecond === undefined) continue
        const now = performance.now()
        due = Math.max(due, now - MIN_WAIT_MS) + (chunk.length / MEBIBYTE / mebibytesPerSecond) * 1000
        if (due - now > MIN_WAIT_MS) await sleep(due - now, undefined, { signal })
      }
    },
  }
}

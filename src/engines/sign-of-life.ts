import { writeSync } from 'node:fs'
import koffi from 'koffi'
import { forbidPrograms } from './sandbox/forbid-programs.ts'

/** The fd for an engine's signs of life: a byte each second, `p` for progress. */
export const LIFE_FD = 4
const EVERY_MS = 1000
/** prctl(2) */
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

let tell: ((byte: 'a' | 'p') => void) | undefined
let toldAt = -Infinity

/**
 * An engine's process calls this first. From then on it gives a sign of life each second, ends when the service ends, and ignores signals
 * that a terminal or a service manager sends to the whole group (the service ends it, once its work is kept). Nor does it start programs.
 */
export function beginLife(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  if (process.platform === 'linux') {
    const prctl = koffi.load(null).func('int prctl(int option, ...)')
    prctl(PR_SET_PDEATHSIG, 'ulong', SIGKILL)
    forbidPrograms()
  }
  tell = byte => {
    try {
      writeSync(LIFE_FD, byte)
    } catch {
      // Nobody reads any more, so the service is gone.
      process.exit(1)
    }
  }
  setInterval(() => tell?.('a'), EVERY_MS).unref()
  tell('a')
}

/** Call it on progress, also where the event loop is blocked for long. It tells the service at most once a second; elsewhere it does nothing. */
export function getsOn(): void {
  if (tell === undefined || performance.now() - toldAt < EVERY_MS) return
  toldAt = performance.now()
  tell('p')
}

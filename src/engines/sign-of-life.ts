import { writeSync } from 'node:fs'
import koffi from 'koffi'

/** Where an engine's process says that it lives: a byte each second, `p` for work that gets on. */
export const LIFE_FD = 4
const EVERY_MS = 1000
/** prctl(2) */
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

let tell: ((byte: 'a' | 'p') => void) | undefined
let toldAt = -Infinity

/**
 * For an engine's own process, first of all: it says each second that it lives, is not ended by what a terminal or a service
 * manager sends to everybody (the service ends it, once its work is kept), and goes when the service goes, however that ends.
 */
export function beginLife(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  if (process.platform === 'linux') {
    const prctl = koffi.load(null).func('int prctl(int option, ...)')
    prctl(PR_SET_PDEATHSIG, 'ulong', SIGKILL)
  }
  tell = byte => {
    try {
      writeSync(LIFE_FD, byte)
    } catch {
      // Nobody reads any more: the service is gone.
      process.exit(1)
    }
  }
  setInterval(() => tell?.('a'), EVERY_MS).unref()
  tell('a')
}

/** Called where work gets on, also where the event loop waits for long: says so at most once a second. Elsewhere nothing. */
export function getsOn(): void {
  if (tell === undefined || performance.now() - toldAt < EVERY_MS) return
  toldAt = performance.now()
  tell('p')
}

/** How long an engine may be still before it is taken for hung; seconds. */
export interface Patience {
  /** Without any sign of life: each engine gives one a second. */
  readonly silentSeconds: number
  /** Alive, but with nothing done of what it was asked to do. */
  readonly stuckSeconds: number
}

/** A slow machine that computes for minutes gives signs of life all the same. */
export const PATIENCE: Patience = patienceOf(30)

/** @param silentSeconds the operator's `--engine-timeout-seconds`; what is alive may be thirty times as long about its work */
export function patienceOf(silentSeconds: number): Patience {
  return { silentSeconds, stuckSeconds: silentSeconds * 30 }
}

const TICK_MS = 1000

/** Watches one engine's process. */
export interface LifeWatch {
  /** A sign of life; `p` in it, or a frame, is work done. */
  sign(hasWork: boolean): void
  /** Whether somebody waits for its work: only then can it be stuck. */
  waited(isWaiting: boolean): void
  stop(): void
}

/**
 * Calls `onHung` once, with why. Counts its own ticks and not the clock: when this process itself was stopped or the machine slept,
 * nothing has passed.
 */
export function watchLife(patience: Patience, onHung: (how: string) => void): LifeWatch {
  let [silent, stuck] = [0, 0]
  let isWaiting = false
  const timer = setInterval(() => {
    silent += 1
    stuck = isWaiting ? stuck + 1 : 0
    if (silent > patience.silentSeconds) hung(`gave no sign of life for ${patience.silentSeconds} s and was ended`)
    else if (stuck > patience.stuckSeconds) hung(`got nothing done for ${patience.stuckSeconds} s and was ended`)
  }, TICK_MS).unref()
  const hung = (how: string): void => {
    clearInterval(timer)
    onHung(how)
  }
  return {
    sign: hasWork => {
      silent = 0
      if (hasWork) stuck = 0
    },
    waited: given => {
      isWaiting = given
      stuck = 0
    },
    stop: () => clearInterval(timer),
  }
}

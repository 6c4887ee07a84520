/** How many seconds an engine may be silent before it counts as hung. */
export interface Patience {
  /** Seconds without a sign of life. Each engine gives one a second. */
  readonly silentSeconds: number
  /** Seconds alive, but without progress. */
  readonly stuckSeconds: number
}

/** A slow machine that computes for minutes still gives signs of life. */
export const PATIENCE: Patience = patienceOf(30)

/** @param silentSeconds the operator's `--engine-timeout-seconds`. An engine that is alive may take thirty times as long. */
export function patienceOf(silentSeconds: number): Patience {
  return { silentSeconds, stuckSeconds: silentSeconds * 30 }
}

const TICK_MS = 1000

/** Watches one engine's process. */
export interface LifeWatch {
  /** A sign of life. `p` in it, or a frame, is progress. */
  sign(hasWork: boolean): void
  /** Whether somebody waits for its work, since only then it can be stuck. */
  waited(isWaiting: boolean): void
  stop(): void
}

/**
 * Calls `onHung` once, with the reason. It counts its own ticks and not the clock, so time while this process was stopped or the machine
 * slept does not count.
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

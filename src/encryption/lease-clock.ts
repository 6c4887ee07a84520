import { uptime } from 'node:os'

/** Three clocks of the machine, in milliseconds from wherever they count. */
export interface MachineClocks {
  /** CLOCK_MONOTONIC: stands still while the machine sleeps. */
  monotonic(): number
  /** CLOCK_REALTIME: goes on, and may be set. */
  wall(): number
  /** CLOCK_BOOTTIME: goes on, in steps of 10 ms, and costs a system call. */
  boot(): number
}

const machine: MachineClocks = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  boot: () => uptime() * 1000,
}

/** Clocks tick in steps and are slewed: less than this is no sleep. */
const TOLERANCE_MS = 100

/**
 * Milliseconds that pass also while the machine sleeps: node's own monotonic clock stands still then, and a lease would outlive
 * the night. Whichever clock shows that more time has passed counts; one that is set back changes nothing.
 */
export class LeaseClock {
  readonly #clocks: MachineClocks
  /** What the monotonic clock has missed. */
  #slept = 0
  #wall: number
  #boot: number

  constructor(clocks: MachineClocks = machine) {
    this.#clocks = clocks
    const monotonic = clocks.monotonic()
    this.#wall = clocks.wall() - monotonic
    this.#boot = clocks.boot() - monotonic
  }

  /** By the monotonic clock and the wall clock: cheap, for each use of a key. */
  now(): number {
    const monotonic = this.#clocks.monotonic()
    this.#wall = this.#compare(this.#clocks.wall() - monotonic, this.#wall)
    return monotonic + this.#slept
  }

  /** By all three: a machine whose wall clock was set back while it slept has slept all the same. */
  look(): number {
    const monotonic = this.#clocks.monotonic()
    this.#boot = this.#compare(this.#clocks.boot() - monotonic, this.#boot)
    return this.now()
  }

  /** @param ahead how far another clock is ahead of the monotonic one. Resolves to how far it is to be from now on */
  #compare(ahead: number, before: number): number {
    const missed = ahead - this.#slept - before
    if (missed > TOLERANCE_MS) this.#slept += missed
    return missed < -TOLERANCE_MS ? before + missed : before
  }
}

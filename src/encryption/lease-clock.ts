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

/** Clocks move in steps and are slewed, so a smaller difference is not a sleep. */
const TOLERANCE_MS = 100

/**
 * Milliseconds that pass also while the machine sleeps. Node's own monotonic clock stands still then, so a lease would outlive
 * the night. The clock that shows the most time counts. A clock that is set back changes nothing.
 */
export class LeaseClock {
  readonly #clocks: MachineClocks
  /** Time that the monotonic clock has missed. */
  #slept = 0
  #wall: number
  #boot: number

  constructor(clocks: MachineClocks = machine) {
    this.#clocks = clocks
    const monotonic = clocks.monotonic()
    this.#wall = clocks.wall() - monotonic
    this.#boot = clocks.boot() - monotonic
  }

  /** By the monotonic clock and the wall clock. It is cheap, for each use of a key. */
  now(): number {
    const monotonic = this.#clocks.monotonic()
    this.#wall = this.#compare(this.#clocks.wall() - monotonic, this.#wall)
    return monotonic + this.#slept
  }

  /** By all three clocks, so that a sleep shows also where the wall clock was set back meanwhile. */
  look(): number {
    const monotonic = this.#clocks.monotonic()
    this.#boot = this.#compare(this.#clocks.boot() - monotonic, this.#boot)
    return this.now()
  }

  /** @param ahead how far another clock is ahead of the monotonic one. Returns how far it counts as ahead from now on */
  #compare(ahead: number, before: number): number {
    const missed = ahead - this.#slept - before
    if (missed > TOLERANCE_MS) this.#slept += missed
    return missed < -TOLERANCE_MS ? before + missed : before
  }
}

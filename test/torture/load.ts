import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../support/random.ts'
import { accountOperations } from './account-operations.ts'
import type { At, Operation } from './at.ts'
import { dataOperations } from './data-operations.ts'
import { engineOperations } from './engine-operations.ts'
import { keyOperations } from './key-operations.ts'

const OPERATIONS: readonly Operation[] = [
  ...dataOperations,
  ...engineOperations,
  ...keyOperations,
  ...accountOperations,
]
const ALL = OPERATIONS.reduce((sum, { weight }) => sum + weight, 0)
/** Where nothing fits. */
const PAUSE_MS = 5

/** Lanes that do random operations one after another, until they are stopped and their last requests have ended. */
export class Load {
  readonly #at: Omit<At, 'random'>
  readonly #lanes: Promise<void>[]
  #isStopped = false
  #attempts = 0

  /** @param random gives each lane a generator of its own, so that a lane's choices don't depend on the speed of others */
  constructor(at: At, lanes: number) {
    this.#at = at
    const seeds = Array.from({ length: lanes }, () => Math.floor(at.random.next() * 2 ** 32))
    this.#lanes = seeds.map(seed => this.#lane(new Random(seed)))
  }

  get attempts(): number {
    return this.#attempts
  }

  /** Call it when the cloud is gone or will be. It waits for requests under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#lanes)
  }

  async #lane(random: Random): Promise<void> {
    while (!this.#isStopped && !this.#at.session.isGone) {
      const under = choose(random).attempt({ ...this.#at, random })
      if (under !== undefined) this.#attempts += 1
      await (under ?? sleep(PAUSE_MS))
    }
  }
}

function choose(random: Random): Operation {
  let left = random.next() * ALL
  return OPERATIONS.find(({ weight }) => (left -= weight) < 0) ?? (OPERATIONS[0] as Operation)
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import type { TortureCloud } from './cloud.ts'

const SHORTEST_MS = 100
const LONGEST_MS = 2500

/** A fault that ends one run of a cloud. A new kind is one more of these in faults.ts. */
export interface Fault {
  readonly name: string
  /** How often it is chosen, relative to the others. */
  readonly weight: number
  /** Why it can't be done here; false where it can. */
  readonly unable: string | false
  /** The environment of the cloud's process: libraries that are preloaded, and their options. */
  readonly prepare: (folder: string) => Promise<Prepared>
}

export interface Prepared {
  readonly env: Readonly<Record<string, string>>
  /** Does it during the load. Afterwards the cloud has ended. Resolves to problems that were found. */
  readonly strike: (cloud: TortureCloud, random: Random) => Promise<string[]>
  /** The fault's effect on the folder of the cloud that has ended. */
  readonly leave: (random: Random) => Promise<void>
  /** Answers that are not trouble under this fault. */
  readonly mayAnswer?: RegExp
}

/** At a random moment of the load. */
export const moment = (random: Random): Promise<void> => sleep(SHORTEST_MS + random.next() * (LONGEST_MS - SHORTEST_MS))

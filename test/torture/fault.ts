import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import type { TortureCloud } from './cloud.ts'

const SHORTEST_MS = 100
const LONGEST_MS = 2500

/** What ends one start of a cloud. A new kind is one more of these in faults.ts. */
export interface Fault {
  readonly name: string
  /** How often it is chosen, relative to the others. */
  readonly weight: number
  /** Why it can't be done here; false where it can. */
  readonly unable: string | false
  /** Set for the cloud's process: libraries that are preloaded, and what they are told. */
  readonly prepare: (folder: string) => Promise<Prepared>
}

export interface Prepared {
  readonly env: Readonly<Record<string, string>>
  /** Does it while the load goes on. Afterwards the cloud has ended. Resolves to what is wrong already. */
  readonly strike: (cloud: TortureCloud, random: Random) => Promise<string[]>
  /** Does to the folder of the cloud that has ended what the fault does to it. */
  readonly leave: (random: Random) => Promise<void>
  /** Answers that are no trouble under this fault. */
  readonly mayAnswer?: RegExp
}

/** At a random moment of the load. */
export const moment = (random: Random): Promise<void> => sleep(SHORTEST_MS + random.next() * (LONGEST_MS - SHORTEST_MS))

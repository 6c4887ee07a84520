import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import type { TortureCloud } from './cloud.ts'
import { noPowerCut, PowerCut } from './power-cut.ts'

/** What ends one start of a cloud. A new kind is one more of these in `FAULTS`. */
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

/** From the first sign of its beginning until an engine has begun. */
const BEGINNING_MS = 100
const SHORTEST_MS = 100
const LONGEST_MS = 2500

/** At a random moment of the load. */
const moment = (random: Random): Promise<void> => sleep(SHORTEST_MS + random.next() * (LONGEST_MS - SHORTEST_MS))

const none = async (): Promise<void> => {}

/** Who waits for a model whose process is lost is told to ask again; a job goes on from its last checkpoint, and the log says so. */
const ENGINE_LOST = /(?:chat\/completions|deployments\/[\w-]+) 503|EngineLost/

const plain = (name: string, weight: number, strike: Prepared['strike'], mayAnswer?: RegExp): Fault => ({
  name,
  weight,
  unable: false,
  prepare: async () => ({ env: {}, strike, leave: none, ...(mayAnswer === undefined ? {} : { mayAnswer }) }),
})

export const FAULTS: readonly Fault[] = [
  plain('kill', 8, async (cloud, random) => {
    await moment(random)
    return cloud.kill()
  }),
  plain(
    'stop',
    1,
    async (cloud, random) => {
      await moment(random)
      return cloud.stop()
    },
    // The model's process is ended with the service.
    ENGINE_LOST,
  ),
  // A hang of an engine, which may go on or be killed in it.
  plain('engines stand still', 3, async (cloud, random) => {
    await moment(random)
    const stopped = cloud.engines().filter(({ isBegun }) => random.chance(0.7) && isBegun)
    await sleep(BEGINNING_MS)
    for (const { pid } of stopped) signalEngine(pid, 'SIGSTOP')
    await moment(random)
    if (random.chance(0.7)) {
      for (const { pid } of stopped) signalEngine(pid, 'SIGCONT')
      await moment(random)
    }
    return cloud.kill()
  }),
  // As when memory runs out: what it was at goes on in another.
  plain(
    'engines killed',
    3,
    async (cloud, random) => {
      for (let times = 1 + random.below(2); times > 0; times -= 1) {
        await moment(random)
        for (const { pid } of cloud.engines()) if (random.chance(0.7)) signalEngine(pid, 'SIGKILL')
      }
      await moment(random)
      return cloud.kill()
    },
    ENGINE_LOST,
  ),
  plain('service stands still', 1, async (cloud, random) => {
    await moment(random)
    cloud.signal('SIGSTOP')
    await moment(random)
    if (random.chance(0.7)) {
      cloud.signal('SIGCONT')
      await moment(random)
    }
    return cloud.kill()
  }),
  {
    name: 'power cut',
    weight: 4,
    unable: noPowerCut,
    prepare: async folder => {
      const cut = await PowerCut.over(folder)
      const strike: Prepared['strike'] = async (cloud, random) => {
        await moment(random)
        return cloud.kill()
      }
      return { env: cut.env, strike, leave: random => cut.happen(random) }
    },
  },
]

/** It may have ended meanwhile. */
function signalEngine(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended.
  }
}

export function pickFault(random: Random, faults: readonly Fault[]): Fault {
  const able = faults.filter(({ unable }) => unable === false)
  let left = random.next() * able.reduce((sum, { weight }) => sum + weight, 0)
  return able.find(({ weight }) => (left -= weight) < 0) ?? (able[0] as Fault)
}

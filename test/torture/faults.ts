import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.ts'
import { brokenDisk, fullDisk } from './disk-faults.ts'
import { moment, type Fault, type Prepared } from './fault.ts'
import { noPowerCut, PowerCut } from './power-cut.ts'

/** From the first sign of its beginning until an engine has begun. */
const BEGINNING_MS = 100
const none = async (): Promise<void> => {}

/** Requests for a model whose process is lost are told to repeat. A job goes on from its last checkpoint, and the log says so. */
const ENGINE_LOST = /(?:chat\/completions|deployments\/[\w-]+) 503|EngineLost/

const plain = (name: string, weight: number, strike: Prepared['strike'], mayAnswer?: RegExp): Fault => ({
  name,
  weight,
  unable: false,
  prepare: async () => ({ env: {}, strike, leave: none, ...(mayAnswer === undefined ? {} : { mayAnswer }) }),
})

function powerCut(name: string, weight: number, more: Readonly<Record<string, string>>): Fault {
  return {
    name,
    weight,
    unable: noPowerCut,
    prepare: async folder => {
      const cut = await PowerCut.over(folder)
      const strike: Prepared['strike'] = async (cloud, random) => {
        await moment(random)
        return cloud.kill()
      }
      return { env: { ...cut.env, ...more }, strike, leave: random => cut.happen(random) }
    },
  }
}

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
  // As when memory runs out, so its work goes on in another process.
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
  powerCut('power cut', 4, {}),
  fullDisk,
  brokenDisk,
]

/** Loses data that it said was safe, which the checks must find. Never chosen at random. */
export const LYING_DISK = powerCut('lying disk', 0, { OWNKEY_TEST_POWER_LIES: '1' })

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

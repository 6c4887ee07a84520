import { loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import type { Common } from './architectures.ts'
import type { SharedModel } from './f32-model.ts'
import { megabytes, peakBytes } from './ours.ts'
import { startSides, type Sides } from './sides.ts'
import { planOf, type Plan } from './steps.ts'

const SEED = 9
/** Threads of the side that has just computed may spin for some milliseconds. */
const PAUSE_MS = 50

export interface SpeedOptions extends Common {
  readonly model: SharedModel
  readonly quantised?: string
  readonly threads: readonly number[]
  readonly steps: number
  readonly tokens: number
}

/** Times steps of equal size, in turns, and the most memory that each side used. */
export async function speed(options: SpeedOptions, print: (line: string) => void): Promise<void> {
  const plan = await planOf(options.model, { ...options, seed: SEED })
  const perStep = Math.round(plan.tokens / plan.steps.length)
  print(
    `${plan.steps.length} steps of ${plan.batchSize} examples, ${perStep} tokens a step; head of torch on ${options.head} positions`,
  )
  print(
    '| threads | ours, fastest (median) | torch | ratio of the fastest | ours, peak | torch, peak (after import) | ratio | load |',
  )
  print('|---|---|---|---|---|---|---|---|')
  for (const threads of options.threads) {
    const sides = await startSides({ ...options, plan, threads })
    try {
      const { ours, theirs, torchPeak } = await inTurns(sides, plan)
      const own = peakBytes(sides.own.pid)
      const imported = megabytes(sides.loaded.importedBytes)
      const load = loadavg()[0]?.toFixed(1)
      print(
        `| ${threads} | ${shown(ours)} | ${shown(theirs)} | ${(Math.min(...ours) / Math.min(...theirs)).toFixed(2)} ` +
          `| ${megabytes(own)} MB | ${megabytes(torchPeak)} MB (${imported}) | ${(own / torchPeak).toFixed(2)} | ${load} |`,
      )
    } finally {
      sides.end()
    }
  }
}

async function inTurns({ own, torch }: Sides, plan: Plan) {
  const [ours, theirs]: [number[], number[]] = [[], []]
  let torchPeak = 0
  const timed = async (into: number[], step: () => Promise<unknown>): Promise<void> => {
    await setTimeout(PAUSE_MS)
    const began = performance.now()
    await step()
    into.push((performance.now() - began) / 1000)
  }
  for (const { sequences, rate } of plan.steps) {
    await timed(ours, () => own.step())
    await timed(theirs, async () => {
      torchPeak = (await torch.step(sequences, rate)).peakBytes
    })
  }
  return { ours, theirs, torchPeak }
}

function shown(seconds: readonly number[]): string {
  const median = seconds.toSorted((a, b) => a - b)[seconds.length >> 1] ?? 0
  return `${Math.min(...seconds).toFixed(2)} s (${median.toFixed(2)})`
}

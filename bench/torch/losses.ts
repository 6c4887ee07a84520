import type { Common } from './architectures.ts'
import { below1 } from './architectures.ts'
import type { SharedModel } from './f32-model.ts'
import { megabytes, peakBytes } from './ours.ts'
import { cosine, distance, pairsOf, startSides } from './sides.ts'
import { planOf } from './steps.ts'

const SEED = 7
/** Relative. */
const BOUND = 0.01

export interface LossOptions extends Common {
  readonly model: SharedModel
  readonly quantised?: string
  readonly threads: number
  readonly steps: number
  /** The most tokens of an example; examples of all lengths if absent. */
  readonly tokens?: number | undefined
}

/** Trains both sides from the same fresh adapter, with the same tokens, order and rates. @throws Error beyond the bound */
export async function losses(options: LossOptions, print: (line: string) => void): Promise<void> {
  const plan = await planOf(options.model, { ...options, seed: SEED })
  const sides = await startSides({ ...options, plan })
  try {
    let [worst, at, torchPeak] = [0, 0, 0]
    for (const [index, { sequences, rate }] of plan.steps.entries()) {
      const { trainLoss } = await sides.own.step()
      const { loss, peakBytes: peak } = await sides.torch.step(sequences, rate)
      torchPeak = peak
      const apart = Math.abs(trainLoss - loss) / loss
      if (!(apart <= worst)) [worst, at] = [apart, index + 1]
      if (index === 0 || (index + 1) % 10 === 0)
        print(
          `step ${index + 1}: ours ${trainLoss.toFixed(6)}, torch ${loss.toFixed(6)}, ${(apart * 100).toFixed(4)} % apart`,
        )
    }
    print(
      `largest difference of ${plan.steps.length} losses: ${(worst * 100).toFixed(4)} % at step ${at} (${plan.tokens} tokens)`,
    )
    const own = peakBytes(sides.own.pid)
    print(
      `peak memory: ours ${megabytes(own)} MB, torch ${megabytes(torchPeak)} MB, ratio ${(own / torchPeak).toFixed(2)}`,
    )
    const pairs = await pairsOf(sides, await sides.own.state(), 'weights', options.folder)
    if (!(worst <= BOUND)) throw new Error(`a loss is more than ${BOUND * 100} % apart`)
    print(`trained adapters: cosine ${below1(cosine(pairs))}, relative distance ${distance(pairs).toExponential(1)}`)
  } finally {
    sides.end()
  }
}

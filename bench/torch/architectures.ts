import { join } from 'node:path'
import { cosine, distance, pairsOf, startSides, type Setting } from './sides.ts'
import { planOf } from './steps.ts'
import { TorchTrainer, type Head } from './theirs.ts'
import { TINY_KINDS, tinyModel } from './tiny-models.ts'

export interface Common {
  readonly python: string
  readonly folder: string
  readonly data: string
  readonly head: Head
  readonly batchSize: number
}

const SEED = 5
/** A rotary base that is 2 % off misses the first. `worst`: of a single tensor, where transposed copies in BF16 show most. */
const BOUNDS = { loss: 1e-4, cosine: 1e-4, worst: 1e-3 } as const

/** One step of a random tiny model of each architecture. @throws Error beyond the bounds */
export async function architectures(common: Common, print: Print): Promise<void> {
  const models = TINY_KINDS.map((kind, index) => async (): Promise<Compared> => {
    const model = await tinyModel(kind, join(common.folder, `tiny-${index}.gguf`), SEED + index)
    return { name: kind.name, model, b: 0.1 }
  })
  await gradients(common, models, print)
}

export type Print = (line: string) => void

/** `b`: B is random within plus or minus this. */
export interface Compared extends Pick<Setting, 'model' | 'quantised'> {
  readonly name: string
  readonly b: number
}

/** Prints the difference of losses and the cosine of gradients of one step of each model. @throws Error beyond the bounds */
export async function gradients(
  common: Common,
  models: readonly (() => Promise<Compared>)[],
  print: Print,
): Promise<void> {
  print('| model | loss, torch | difference | gradient cosine | of the worst tensor | relative distance |')
  print('|---|---|---|---|---|---|')
  const torch = new TorchTrainer(common.python, 1)
  const beyond: string[] = []
  try {
    for (const open of models) {
      const compared = await open()
      const { difference, loss, pairs } = await oneStep(common, compared, torch)
      const worst = Math.min(...pairs.map(pair => cosine([pair])))
      const together = cosine(pairs)
      const agrees = Math.abs(difference) <= BOUNDS.loss && 1 - together <= BOUNDS.cosine && 1 - worst <= BOUNDS.worst
      if (!agrees) beyond.push(compared.name)
      const figures = [
        loss.toFixed(5),
        difference.toExponential(1),
        below1(together),
        below1(worst),
        distance(pairs).toExponential(1),
      ]
      print(`| ${compared.name} | ${figures.join(' | ')} |`)
    }
  } finally {
    torch.end()
  }
  if (beyond.length > 0) throw new Error(`not as torch computes it: ${beyond.join('; ')}`)
}

async function oneStep(common: Common, compared: Compared, torch: TorchTrainer) {
  const plan = await planOf(compared.model, { ...common, steps: 1, seed: SEED })
  const sides = await startSides({ ...common, ...compared, plan, threads: 1 }, torch)
  try {
    const [step] = plan.steps
    if (step === undefined) throw new Error('there is no step')
    const { trainLoss } = await sides.own.step()
    const { loss } = await torch.step(step.sequences, step.rate)
    // After one step the optimizer's first moment is the clipped gradient times 1 - beta1, on both sides.
    const pairs = await pairsOf(sides, await sides.own.state(), 'means', common.folder)
    return { difference: trainLoss - loss, loss, pairs }
  } finally {
    sides.own.end()
  }
}

/** A number near 1, by its distance from it. */
export const below1 = (value: number): string => `1 - ${Math.max(0, 1 - value).toExponential(1)}`

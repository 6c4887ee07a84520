import { join } from 'node:path'
import { LORA } from '../../src/engines/lora-settings.ts'
import { freshAdapter } from '../../src/engines/lora.ts'
import { encodeState, decodeState } from '../../src/engines/training-state.ts'
import { defaultMemoryLimit } from '../../src/engines/memory-limit.ts'
import { uniform } from '../../src/engines/training-batches.ts'
import { writeFlat, type SharedModel } from './f32-model.ts'
import { OwnTrainer, type Job } from './ours.ts'
import type { Plan } from './steps.ts'
import { TorchTrainer, type Head, type Loaded } from './theirs.ts'

export interface Setting {
  readonly model: SharedModel
  readonly plan: Plan
  readonly threads: number
  readonly python: string
  readonly head: Head
  /** For files that the reference reads. */
  readonly folder: string
  /** What the product trains on in place of the model's F32 file: the same weights, quantised. */
  readonly quantised?: string | undefined
  /** B is random within plus or minus this, since a fresh adapter's B is zero and so is A's gradient then. */
  readonly b?: number
}

/** Both trainers with the same base and adapter, before the first step. */
export interface Sides {
  readonly own: OwnTrainer
  readonly torch: TorchTrainer
  readonly loaded: Loaded
  readonly model: SharedModel
  end(): void
}

/**
 * Starts both. One of them at a time computes, since each waits until it is told to do a step.
 * @param torch one that runs already: its start takes longer than a tiny model's step
 */
export async function startSides(
  setting: Setting,
  torch = new TorchTrainer(setting.python, setting.threads),
): Promise<Sides> {
  const { model, plan, threads, folder, b = 0 } = setting
  const adapter = freshAdapter(model.tensors, plan.seed)
  const random = uniform(plan.seed + 1)
  for (const { name, data } of adapter.parameters)
    if (name.endsWith('lora_b')) for (const at of data.keys()) data[at] = (2 * random() - 1) * b
  const own = new OwnTrainer()
  const end = (): void => {
    own.end()
    torch.end()
  }
  try {
    const job = jobOf(setting)
    const position = {
      step: 0,
      totalSteps: plan.steps.length,
      trainedTokens: 0,
      seed: plan.seed,
      examples: plan.steps.length * plan.batchSize,
      base: job.base,
      hyperparameters: { nEpochs: 1, batchSize: plan.batchSize, learningRateMultiplier: 1 },
    }
    await own.start(job, plan.train, encodeState({ position, adapter, reference: new Float64Array(0) }))
    const flat = await writeFlat(join(folder, 'adapter.f32'), adapter.parameters)
    const loaded = await torch.load(model, flat, {
      rank: adapter.rank,
      alpha: adapter.alpha,
      threads,
      head: setting.head,
    })
    return { own, torch, loaded, model, end }
  } catch (error) {
    end()
    throw error
  }
}

function jobOf({ model, plan, threads, quantised }: Setting): Job {
  return {
    type: 'job',
    base: 'base',
    path: quantised ?? model.path,
    method: 'supervised',
    lora: LORA,
    hyperparameters: { nEpochs: 1, batchSize: plan.batchSize, learningRateMultiplier: 1 },
    seed: plan.seed,
    threads,
    maxContext: model.context,
    minExamples: 1,
    checkpointSeconds: 1e6,
    memory: defaultMemoryLimit(),
  }
}

/** A tensor on both sides. */
export interface Pair {
  readonly name: string
  readonly ours: Float32Array
  readonly theirs: Float32Array
}

/** After the last step: what each side's optimizer has as first moments, or the trained weights. */
export async function pairsOf(
  { torch, model }: Sides,
  state: Buffer,
  what: 'means' | 'weights',
  folder: string,
): Promise<Pair[]> {
  const { adapter } = decodeState(state, model.tensors)
  const values = await torch.values(what, join(folder, 'answer.f32'))
  let at = 0
  return adapter.parameters.map(({ name, mean, data }) => {
    const theirs = values.subarray(at, at + data.length)
    at += data.length
    return { name, ours: what === 'means' ? mean : data, theirs }
  })
}

/** The cosine of all pairs together: 1 where both sides agree. */
export function cosine(pairs: readonly Pair[]): number {
  let [both, own, other] = [0, 0, 0]
  for (const { ours, theirs } of pairs) {
    for (const [at, a] of ours.entries()) {
      const b = theirs[at] as number
      both += a * b
      own += a * a
      other += b * b
    }
  }
  return both / Math.sqrt(own * other)
}

/** The Euclidean norm of the difference, relative to that of `theirs`. */
export function distance(pairs: readonly Pair[]): number {
  let [apart, size] = [0, 0]
  for (const { ours, theirs } of pairs) {
    for (const [at, a] of ours.entries()) {
      const b = theirs[at] as number
      apart += (a - b) ** 2
      size += b * b
    }
  }
  return Math.sqrt(apart / size)
}

import type { TrainingMetrics } from './engine.ts'
import type { ModelPasses } from './model-passes.ts'
import type { EncodedExample } from './training-batches.ts'

export type TrainMetrics = Pick<TrainingMetrics, 'trainLoss' | 'trainMeanTokenAccuracy' | 'trainRewards'>
export type ValidMetrics = Pick<TrainingMetrics, 'validLoss' | 'validMeanTokenAccuracy' | 'validRewards'>

/** What a training minimises, over its own examples. */
export interface Objective {
  readonly examples: number
  /** Of one epoch. */
  readonly tokens: number
  readonly hasValidation: boolean
  /** What the model at the start makes of the examples, where that is needed. It belongs to the state. */
  readonly reference: Float64Array
  /** Before the first step. */
  begin(): Promise<void>
  /** Adds the gradient of the loss on these examples to the adapter's. Resolves to what the model was before. */
  learn(indexes: readonly number[]): Promise<TrainMetrics>
  /** Without an effect on the model. */
  validate(): Promise<ValidMetrics>
}

/** Supervised training: the mean over learned tokens of minus their log-probability. */
export class Likelihood implements Objective {
  readonly reference = new Float64Array(0)
  readonly #passes: ModelPasses
  readonly #train: readonly EncodedExample[]
  readonly #valid: readonly EncodedExample[]

  constructor(passes: ModelPasses, train: readonly EncodedExample[], valid: readonly EncodedExample[]) {
    this.#passes = passes
    this.#train = train
    this.#valid = valid
  }

  get examples(): number {
    return this.#train.length
  }

  get tokens(): number {
    return this.#train.reduce((sum, { tokens }) => sum + tokens, 0)
  }

  get hasValidation(): boolean {
    return this.#valid.length > 0
  }

  async begin(): Promise<void> {}

  async learn(indexes: readonly number[]): Promise<TrainMetrics> {
    const examples = indexes.map(index => this.#train[index] as EncodedExample)
    // Each learned token weighs the same within the step.
    const weight = 1 / examples.reduce((sum, { rows }) => sum + rows.length, 0)
    const { loss, accuracy } = await this.#meanOf(examples, weight)
    return { trainLoss: loss, trainMeanTokenAccuracy: accuracy }
  }

  async validate(): Promise<ValidMetrics> {
    const { loss, accuracy } = await this.#meanOf(this.#valid)
    return { validLoss: loss, validMeanTokenAccuracy: accuracy }
  }

  async #meanOf(examples: readonly EncodedExample[], weight?: number) {
    const weights = weight === undefined ? undefined : examples.map(() => weight)
    const scores = await this.#passes.score(examples, weights)
    let [loss, right, tokens] = [0, 0, 0]
    for (const score of scores) {
      loss -= score.logProbability
      right += score.right
      tokens += score.tokens
    }
    return { loss: loss / tokens, accuracy: right / tokens }
  }
}

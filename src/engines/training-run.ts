import { learningRate } from './adamw.ts'
import type { ResolvedHyperparameters, TrainingMetrics } from './engine.ts'
import type { LlamaShape } from './llama-model.ts'
import type { ModelPasses } from './model-passes.ts'
import type { Objective, ValidMetrics } from './objective.ts'
import { epochOrder } from './training-batches.ts'

export interface RunOptions {
  readonly shape: Pick<LlamaShape, 'width'>
  readonly hyperparameters: ResolvedHyperparameters
  readonly seed: number
}

/** One LoRA training run. `step` is its position, and everything random follows from the seed. */
export class TrainingRun {
  readonly #passes: ModelPasses
  readonly #options: RunOptions
  readonly objective: Objective
  readonly stepsPerEpoch: number
  readonly totalSteps: number

  constructor(passes: ModelPasses, objective: Objective, options: RunOptions) {
    this.#passes = passes
    this.#options = options
    this.objective = objective
    this.stepsPerEpoch = Math.ceil(objective.examples / options.hyperparameters.batchSize)
    this.totalSteps = this.stepsPerEpoch * options.hyperparameters.nEpochs
  }

  /** Does step number `step` (from 1). Returns the model's loss and accuracy before it. */
  async step(step: number): Promise<TrainingMetrics> {
    const { hyperparameters, seed, shape } = this.#options
    const { batchSize, learningRateMultiplier, l2Multiplier = 0 } = hyperparameters
    const epoch = Math.ceil(step / this.stepsPerEpoch)
    const from = ((step - 1) % this.stepsPerEpoch) * batchSize
    const order = epochOrder(this.objective.examples, seed, epoch).slice(from, from + batchSize)
    this.#passes.clearGradients()
    const metrics = await this.objective.learn(order)
    const { totalSteps } = this
    const rate = learningRate({ step, totalSteps, width: shape.width, multiplier: learningRateMultiplier })
    this.#passes.update(step, rate, l2Multiplier)
    return { step, totalSteps: this.totalSteps, epoch, ...metrics }
  }

  /** Loss and accuracy on the validation examples, if there are any. */
  async validate(): Promise<ValidMetrics | undefined> {
    return this.objective.hasValidation ? this.objective.validate() : undefined
  }
}

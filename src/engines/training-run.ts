import type { Parameter } from './adamw.ts'
import { ADAM, adamStep } from './adamw.ts'
import type { ResolvedHyperparameters, TrainingMetrics } from './engine.ts'
import type { Ggml } from './ggml.ts'
import type { StoredTensor } from './gguf.ts'
import type { LlamaShape, Weights } from './llama-model.ts'
import type { StepGraph } from './llama-graph.ts'
import { LORA } from './lora.ts'
import { reserveWeights, upload } from './placed-weights.ts'
import { getsOn } from './sign-of-life.ts'
import { StepGraphs } from './step-graphs.ts'
import type { EncodedExample } from './training-batches.ts'
import { epochOrder, microBatches } from './training-batches.ts'
import { checkMemory, turnedFits } from './training-memory.ts'

export interface RunOptions {
  readonly shape: LlamaShape
  readonly base: readonly StoredTensor[]
  readonly adapter: readonly Parameter[]
  readonly train: readonly EncodedExample[]
  readonly valid: readonly EncodedExample[]
  readonly hyperparameters: ResolvedHyperparameters
  readonly seed: number
  /** Bytes that the training may take. */
  readonly memory: number
}

interface Score {
  readonly loss: number
  readonly accuracy: number
}

/** The learning rate at multiplier 1 for a model of width 160; wider models take smaller steps. */
const rateFor = (width: number): number => 2e-3 * Math.sqrt(160 / width)

/** An adapter with its gradients and moments. */
const bytesOf = (adapter: readonly Parameter[]): number =>
  adapter.reduce((sum, { data }) => sum + 4 * data.byteLength, 0)

/** One LoRA training run. `step` is its position, and everything random follows from the seed. */
export class TrainingRun {
  readonly #ggml: Ggml
  readonly #options: RunOptions
  readonly #weights: Weights
  readonly #graphs: StepGraphs
  readonly stepsPerEpoch: number
  readonly totalSteps: number

  /** @throws TrainingDataUnfit when it does not fit into the memory */
  constructor(ggml: Ggml, options: RunOptions) {
    this.#ggml = ggml
    this.#options = options
    const placing = { loraScale: LORA.alpha / LORA.rank, turned: turnedFits(options.base) }
    const reserved = reserveWeights(ggml, options.base, options.adapter, placing)
    this.#weights = reserved.weights
    this.#graphs = new StepGraphs(ggml, options.shape, this.#weights)
    checkMemory(options.train, options.hyperparameters.batchSize, {
      weights: reserved.bytes + bytesOf(options.adapter),
      step: size => this.#graphs.bytesFor(size),
      limit: options.memory,
    })
    reserved.fill()
    this.stepsPerEpoch = Math.ceil(options.train.length / options.hyperparameters.batchSize)
    this.totalSteps = this.stepsPerEpoch * options.hyperparameters.nEpochs
  }

  /** Tokens of a whole epoch. */
  get epochTokens(): number {
    return this.#options.train.reduce((sum, example) => sum + example.ids.length, 0)
  }

  /** Does step number `step` (from 1). Returns the model's loss and accuracy before it. */
  async step(step: number): Promise<TrainingMetrics> {
    const { train, adapter, hyperparameters, seed, shape } = this.#options
    const epoch = Math.ceil(step / this.stepsPerEpoch)
    const from = ((step - 1) % this.stepsPerEpoch) * hyperparameters.batchSize
    const order = epochOrder(train.length, seed, epoch).slice(from, from + hyperparameters.batchSize)
    for (const { gradient } of adapter) gradient.fill(0)
    const { loss, accuracy } = await this.#pass(
      order.map(index => train[index] as EncodedExample),
      true,
    )
    const warmup = Math.max(1, Math.min(20, this.totalSteps / 20))
    const decay = 1 - 0.9 * (step / this.totalSteps)
    const rate = rateFor(shape.width) * hyperparameters.learningRateMultiplier * Math.min(step / warmup, decay)
    adamStep(adapter, step, rate, ADAM)
    for (const tensor of adapter) upload(this.#ggml, this.#weights, tensor)
    return { step, totalSteps: this.totalSteps, epoch, trainLoss: loss, trainMeanTokenAccuracy: accuracy }
  }

  /** Loss and accuracy on the validation examples, if there are any. */
  async validate(): Promise<{ validLoss: number; validMeanTokenAccuracy: number } | undefined> {
    if (this.#options.valid.length === 0) return undefined
    const { loss, accuracy } = await this.#pass(this.#options.valid, false)
    return { validLoss: loss, validMeanTokenAccuracy: accuracy }
  }

  async #pass(examples: readonly EncodedExample[], training: boolean): Promise<Score> {
    let [loss, right, count] = [0, 0, 0]
    for (const { size, batch } of microBatches(examples)) {
      const graph = this.#graphs.of(size, training)
      const { probabilities, best } = await graph.run(batch)
      getsOn()
      for (const [index, probability] of probabilities.entries()) {
        loss -= Math.log(Math.max(probability, 1e-30))
        if (best[index] === batch.targets[index]) right += 1
      }
      count += probabilities.length
      if (training) this.#collectGradients(graph)
    }
    return { loss: loss / count, accuracy: right / count }
  }

  #collectGradients(graph: StepGraph): void {
    for (const { name, gradient } of this.#options.adapter) {
      const part = new Float32Array(gradient.length)
      graph.gradient(name, part)
      for (const [index, value] of part.entries()) gradient[index] = (gradient[index] as number) + value
    }
  }
}

import { ADAM, adamStep } from './adamw.ts'
import type { Ggml } from './ggml.ts'
import type { StoredTensor } from './gguf.ts'
import type { StepGraph } from './llama-graph.ts'
import type { LlamaShape, Weights } from './llama-model.ts'
import type { Adapter } from './lora.ts'
import { reserveWeights, upload } from './placed-weights.ts'
import { getsOn } from './sign-of-life.ts'
import { StepGraphs } from './step-graphs.ts'
import { microBatches, type EncodedExample } from './training-batches.ts'
import { checkMemory, turnedFits } from './training-memory.ts'

export interface PassOptions {
  readonly shape: LlamaShape
  /** It is read while the object is made, and not afterwards. */
  readonly base: readonly StoredTensor[]
  readonly adapter: Adapter
  /** Bytes that the training may take. */
  readonly memory: number
  /** What a step has at most: so many of these. */
  readonly most: { readonly examples: readonly EncodedExample[]; readonly batchSize: number }
}

/** What the model makes of the learned tokens of one example. */
export interface ExampleScore {
  /** Of all of them together. */
  readonly logProbability: number
  /** How many were the likeliest token. */
  readonly right: number
  readonly tokens: number
}

/** Least probability that counts: below it F32 has no more digits. */
const LEAST = 1e-30

/** An adapter with its gradients and moments. */
const bytesOf = ({ parameters }: Adapter): number => parameters.reduce((sum, { data }) => sum + 4 * data.byteLength, 0)

/** A base with an adapter where ggml computes: passes over examples, and steps of the optimizer. */
export class ModelPasses {
  readonly #ggml: Ggml
  readonly #adapter: Adapter
  readonly #weights: Weights
  readonly #graphs: StepGraphs

  /** @throws TrainingDataUnfit when it does not fit into the memory */
  constructor(ggml: Ggml, { shape, base, adapter, memory, most }: PassOptions) {
    this.#ggml = ggml
    this.#adapter = adapter
    const placing = { loraScale: adapter.alpha / adapter.rank, turned: turnedFits(base) }
    const reserved = reserveWeights(ggml, base, adapter.parameters, placing)
    this.#weights = reserved.weights
    this.#graphs = new StepGraphs(ggml, shape, this.#weights)
    checkMemory(most.examples, most.batchSize, {
      weights: reserved.bytes + bytesOf(adapter),
      step: size => this.#graphs.bytesFor(size),
      limit: memory,
    })
    reserved.fill()
  }

  /**
   * Scores examples, in their order.
   * @param weights of each, by which the gradient of minus its log-probability is added to the adapter's; absent: no backward pass
   */
  async score(examples: readonly EncodedExample[], weights?: readonly number[]): Promise<ExampleScore[]> {
    const scores: ExampleScore[] = []
    for (const { size, batch, members } of microBatches(examples, weights ?? [])) {
      const graph = this.#graphs.of(size, weights !== undefined)
      const { probabilities, best } = await graph.run(batch)
      getsOn()
      let row = 0
      for (const member of members) {
        const tokens = examples[member]?.rows.length ?? 0
        let [logProbability, right] = [0, 0]
        for (const end = row + tokens; row < end; row += 1) {
          logProbability += Math.log(Math.max(probabilities[row] ?? 0, LEAST))
          if (best[row] === batch.targets[row]) right += 1
        }
        scores[member] = { logProbability, right, tokens }
      }
      if (weights !== undefined) this.#collectGradients(graph)
    }
    return scores
  }

  clearGradients(): void {
    for (const { gradient } of this.#adapter.parameters) gradient.fill(0)
  }

  /** A step of AdamW on the gradients that were collected. @param step 1 for the first */
  update(step: number, rate: number, weightDecay: number): void {
    adamStep(this.#adapter.parameters, step, rate, { ...ADAM, weightDecay })
    for (const tensor of this.#adapter.parameters) upload(this.#ggml, this.#weights, tensor)
  }

  #collectGradients(graph: StepGraph): void {
    for (const { name, gradient } of this.#adapter.parameters) {
      const part = new Float32Array(gradient.length)
      graph.gradient(name, part)
      for (let at = 0; at < part.length; at += 1) gradient[at] = (gradient[at] as number) + (part[at] as number)
    }
  }
}

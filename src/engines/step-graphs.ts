import type { Ggml } from './ggml.ts'
import { buildStep, type StepGraph, type StepSize } from './llama-graph.ts'
import type { LlamaShape, Weights } from './llama-model.ts'
import { StepMemory } from './step-memory.ts'

const MAX_GRAPHS = 12

/** Graphs of a run by size. They share one memory, since one runs at a time. */
export class StepGraphs {
  readonly #ggml: Ggml
  readonly #shape: LlamaShape
  readonly #weights: Weights
  readonly #memory: StepMemory
  readonly #graphs = new Map<string, StepGraph>()

  constructor(ggml: Ggml, shape: LlamaShape, weights: Weights) {
    this.#ggml = ggml
    this.#shape = shape
    this.#weights = weights
    this.#memory = new StepMemory(ggml)
  }

  /** The least recently used are dropped first. @throws EngineFailure when memory does not suffice */
  of(size: StepSize, training: boolean): StepGraph {
    const key = JSON.stringify([size, training])
    const graph = this.#graphs.get(key) ?? this.#build(size, training)
    this.#graphs.delete(key)
    this.#graphs.set(key, graph)
    if (this.#graphs.size > MAX_GRAPHS) this.#drop(1)
    return graph
  }

  /** Bytes that a step of this size computes in, of which nothing is taken yet. */
  bytesFor(size: StepSize): number {
    const graph = buildStep(this.#ggml, this.#shape, this.#weights, size, true)
    const bytes = graph.bytes()
    graph.free()
    return bytes
  }

  #build(size: StepSize, training: boolean): StepGraph {
    const before = this.#memory.size
    const graph = buildStep(this.#ggml, this.#shape, this.#weights, size, training)
    graph.allot(this.#memory)
    // Those that were built before point into the smaller memory, which is gone.
    if (this.#memory.size !== before) this.#drop(this.#graphs.size)
    return graph
  }

  #drop(count: number): void {
    for (const [key, graph] of [...this.#graphs].slice(0, count)) {
      graph.free()
      this.#graphs.delete(key)
    }
  }
}

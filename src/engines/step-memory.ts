import { EngineFailure } from './failures.ts'
import type { Ggml, Pointer } from './ggml.ts'

const allocatorOf = (ggml: Ggml): Pointer =>
  ggml.call.ggml_gallocr_new(ggml.call.ggml_backend_get_default_buffer_type(ggml.backend))

/** Memory for what steps compute. Graphs that run one after the other share it. */
export class StepMemory {
  readonly #ggml: Ggml
  readonly #allocator: Pointer

  constructor(ggml: Ggml) {
    this.#ggml = ggml
    this.#allocator = allocatorOf(ggml)
  }

  /** In bytes. When it grows, graphs that were allotted before can't run any more. */
  get size(): number {
    return Number(this.#ggml.call.ggml_gallocr_get_buffer_size(this.#allocator, 0))
  }

  /** Gives each tensor of a graph its place. @throws EngineFailure when memory does not suffice */
  allot(graph: Pointer): void {
    if (this.#ggml.call.ggml_gallocr_alloc_graph(this.#allocator, graph) !== true) {
      throw new EngineFailure('not enough memory for a training step; use a smaller batch size or shorter examples')
    }
  }
}

/** Bytes that a graph computes in, of which nothing is taken. */
export function bytesFor(ggml: Ggml, graph: Pointer): number {
  const allocator = allocatorOf(ggml)
  const sizes = new BigUint64Array(1)
  ggml.call.ggml_gallocr_reserve_n_size(allocator, graph, null, null, sizes)
  ggml.call.ggml_gallocr_free(allocator)
  return Number(sizes[0])
}

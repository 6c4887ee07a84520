import type { Var } from './tape.ts'

/** The dimensions of a Llama-type model, as its GGUF names them. */
export interface LlamaShape {
  /** `general.architecture` of its adapters too. */
  readonly architecture: string
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly keyHeads: number
  readonly hidden: number
  readonly vocabulary: number
  readonly context: number
  readonly epsilon: number
  /** Values of a head; heads together may be wider than the model. */
  readonly headSize: number
  /** Values of a head that are rotated by its position. */
  readonly rotated: number
  readonly ropeBase: number
  readonly ropeMode: number
  readonly ropeScale: number
  /** What embeddings are multiplied by. */
  readonly embeddingScale: number
  readonly activation: 'silu' | 'gelu'
  /** What products of queries and keys are multiplied by. */
  readonly attentionScale: number
  /** Bounds of products of queries and keys, and of logits: c tanh(x / c). */
  readonly attentionCap?: number
  readonly outputCap?: number
  readonly window?: SlidingWindow
}

/** Of `every` layers in a row all but the last see only so many tokens back. */
export interface SlidingWindow {
  readonly tokens: number
  readonly every: number
  readonly ropeBase: number
}

/** Tensors in memory by GGUF name, in the type that their file has. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Var>
  /** Transposed copies of frozen matrices, where memory allows them. */
  readonly turned: ReadonlyMap<string, Var>
  /** LoRA: scale of B A x. */
  readonly loraScale: number
}

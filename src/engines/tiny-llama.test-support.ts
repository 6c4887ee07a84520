import type { GgufTensor } from './gguf.ts'
import type { LlamaShape } from './llama-model.ts'
import { uniform } from './training-batches.ts'

/** A model that is computed in no time, with grouped-query attention. */
export const TINY_LLAMA: LlamaShape = {
  architecture: 'llama',
  layers: 2,
  width: 32,
  heads: 4,
  keyHeads: 2,
  hidden: 64,
  vocabulary: 40,
  context: 64,
  epsilon: 1e-5,
  headSize: 8,
  ropeBase: 10_000,
  ropeMode: 0,
  ropeScale: 1,
  rotated: 8,
  embeddingScale: 1,
  activation: 'silu',
  attentionScale: 1 / Math.sqrt(8),
}

/** A tensor of random values, around 1 for norms. */
export function tinyTensor(random: () => number, name: string, shape: readonly [number, number]): GgufTensor {
  const [columns, rows] = shape
  const scale = rows === 1 ? 0.1 : 2 / Math.sqrt(columns)
  const data = new Float32Array(columns * rows).map(() => (random() - 0.5) * scale + (rows === 1 ? 1 : 0))
  return { name, shape, data }
}

/** Names and shapes of the matrices in each layer. */
export function tinyLinear(shape: LlamaShape): [name: string, columns: number, rows: number][] {
  const [d, f, kv] = [shape.width, shape.hidden, shape.headSize * shape.keyHeads]
  return Array.from({ length: shape.layers }, (_, index): [string, number, number][] => [
    [`blk.${index}.attn_q.weight`, d, d],
    [`blk.${index}.attn_k.weight`, d, kv],
    [`blk.${index}.attn_v.weight`, d, kv],
    [`blk.${index}.attn_output.weight`, d, d],
    [`blk.${index}.ffn_gate.weight`, d, f],
    [`blk.${index}.ffn_up.weight`, d, f],
    [`blk.${index}.ffn_down.weight`, f, d],
  ]).flat()
}

/** All tensors of the model, the same each time. */
export function tinyTensors(shape: LlamaShape): GgufTensor[] {
  const random = uniform(5)
  const norms = Array.from({ length: shape.layers }, (_, index) => [`blk.${index}.attn_norm`, `blk.${index}.ffn_norm`])
  return [
    tinyTensor(random, 'token_embd.weight', [shape.width, shape.vocabulary]),
    ...['output_norm', ...norms.flat()].map(name => tinyTensor(random, `${name}.weight`, [shape.width, 1])),
    ...tinyLinear(shape).map(([name, columns, rows]) => tinyTensor(random, name, [columns, rows])),
  ]
}

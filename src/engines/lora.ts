import type { Parameter } from './adamw.ts'
import { parameter } from './adamw.ts'
import { encodeGguf } from './gguf.ts'
import { uniform } from './training-batches.ts'

/** Rank and alpha of our adapters: W x + (alpha / rank) B A x (Hu et al., arXiv 2106.09685). */
export const LORA = { rank: 8, alpha: 16 } as const

const ADAPTED = /^blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$/

/** New adapters for every linear layer of the base. A is random and B zero, so training starts at the base. */
export function freshAdapter(
  base: readonly { readonly name: string; readonly shape: readonly [number, number] }[],
  seed: number,
): Parameter[] {
  const random = uniform(seed)
  return base
    .filter(tensor => ADAPTED.test(tensor.name))
    .flatMap(({ name, shape: [columns, rows] }) => {
      const bound = Math.sqrt(3 / columns)
      const a = new Float32Array(columns * LORA.rank).map(() => (2 * random() - 1) * bound)
      return [
        parameter(`${name}.lora_a`, [columns, LORA.rank], a),
        parameter(`${name}.lora_b`, [LORA.rank, rows], new Float32Array(LORA.rank * rows)),
      ]
    })
}

/** The adapter as llama.cpp reads it (llama-adapter.cpp). */
export function encodeAdapter(parameters: readonly Parameter[], architecture = 'llama'): Buffer {
  return encodeGguf(
    [
      { key: 'general.architecture', type: 'string', value: architecture },
      { key: 'general.type', type: 'string', value: 'adapter' },
      { key: 'adapter.type', type: 'string', value: 'lora' },
      { key: 'adapter.lora.alpha', type: 'f32', value: LORA.alpha },
    ],
    parameters,
  )
}

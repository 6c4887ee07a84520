import type { Parameter } from './adamw.ts'
import { parameter } from './adamw.ts'
import { EngineFailure } from './failures.ts'
import { encodeGguf, openGguf } from './gguf.ts'
import type { GgufTensor } from './gguf.ts'
import { LORA, type LoraSettings } from './lora-settings.ts'
import { memoryFile } from './memory-file.ts'
import { uniform } from './training-batches.ts'

const ADAPTED = /^blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$/

/** Bytes. With the optimizer's state it is four times as much, in one frame of at most 2 GiB (frames.ts), and 512 MiB are served. */
const MOST_BYTES = 500_000_000

/** What is trained, and how much it counts: alpha / rank. */
export interface Adapter {
  /** A and B of each matrix, named `<matrix>.lora_a` and `<matrix>.lora_b`. */
  readonly parameters: readonly Parameter[]
  readonly rank: number
  readonly alpha: number
}

type Shaped = Pick<GgufTensor, 'name' | 'shape'>

/**
 * New adapters for the chosen matrices of each layer. A is random and B zero, so training starts at the base.
 * @throws EngineFailure where the base has none of them, since a training would then change nothing, and for one that is too large to serve
 */
export function freshAdapter(base: readonly Shaped[], seed: number, settings: LoraSettings = LORA): Adapter {
  const { rank, alpha, targets } = settings
  const chosen = new Set<string>(targets)
  const random = uniform(seed)
  const adapted = base.filter(({ name }) => ADAPTED.test(name) && chosen.has(name.split('.')[2] ?? ''))
  if (adapted.length === 0) throw new EngineFailure(`the base has none of the matrices to adapt: ${targets.join(', ')}`)
  const bytes = adapted.reduce((sum, { shape: [columns, rows] }) => sum + 4 * rank * (columns + rows), 0)
  if (bytes > MOST_BYTES)
    throw new EngineFailure(
      `an adapter of rank ${rank} on ${targets.join(', ')} has ${Math.ceil(bytes / 1e6).toLocaleString('en')} MB, and ${MOST_BYTES / 1e6} are the most: the operator can set a smaller rank or fewer targets in models.yaml`,
    )
  const parameters = adapted.flatMap(({ name, shape: [columns, rows] }) => {
    const bound = Math.sqrt(3 / columns)
    const a = new Float32Array(columns * rank).map(() => (2 * random() - 1) * bound)
    return [
      parameter(`${name}.lora_a`, [columns, rank], a),
      parameter(`${name}.lora_b`, [rank, rows], new Float32Array(rank * rows)),
    ]
  })
  return { parameters, rank, alpha }
}

/** The adapter as llama.cpp reads it (llama-adapter.cpp). */
export function encodeAdapter({ parameters, alpha }: Adapter, architecture = 'llama'): Buffer {
  return encodeGguf(
    [
      { key: 'general.architecture', type: 'string', value: architecture },
      { key: 'general.type', type: 'string', value: 'adapter' },
      { key: 'adapter.type', type: 'string', value: 'lora' },
      { key: 'adapter.lora.alpha', type: 'f32', value: alpha },
    ],
    parameters,
  )
}

/** An adapter to start from, with its own rank, alpha and matrices. @throws EngineFailure when it does not fit the base */
export function decodeAdapter(bytes: Uint8Array, base: readonly Shaped[]): Adapter {
  const held = memoryFile(bytes)
  try {
    const file = openGguf(held.path)
    try {
      const alpha = file.metadata.get('adapter.lora.alpha')
      if (file.metadata.get('adapter.type') !== 'lora' || typeof alpha !== 'number')
        throw new EngineFailure('the model to start from is not a LoRA adapter')
      const tensors = file.names.map(name => file.tensor(name))
      const rank = checkFit(tensors, base, 'the model to start from')
      return { parameters: tensors.map(({ name, shape, data }) => parameter(name, shape, data)), rank, alpha }
    } finally {
      file.close()
    }
  } finally {
    held.close()
  }
}

/** The rank that all pairs have. @param what begins the sentence @throws EngineFailure for what is not pairs for matrices of the base */
export function checkFit(tensors: readonly Shaped[], base: readonly Shaped[], what: string): number {
  const matrices = new Map(base.map(({ name, shape }) => [name, shape]))
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const rank = tensors.find(({ name }) => name.endsWith('.lora_b'))?.shape[0] ?? 0
  const unfit = tensors.find(({ name, shape: [columns, rows] }) => {
    const matrix = name.slice(0, -'.lora_a'.length)
    const [width, height] = matrices.get(matrix) ?? [0, 0]
    if (!ADAPTED.test(matrix)) return true
    if (name.endsWith('.lora_a')) return columns !== width || rows !== rank || !shapes.has(`${matrix}.lora_b`)
    return !name.endsWith('.lora_b') || columns !== rank || rows !== height || !shapes.has(`${matrix}.lora_a`)
  })
  if (rank === 0 || unfit !== undefined)
    throw new EngineFailure(`${what} does not fit the base model${unfit === undefined ? '' : ` at ${unfit.name}`}`)
  return rank
}

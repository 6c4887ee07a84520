import { EngineFailure } from './failures.ts'
import type { GgufValue } from './gguf-header.ts'
import type { GgufFile, StoredTensor } from './gguf.ts'
import type { LlamaShape, SlidingWindow } from './llama-model.ts'

/** What an architecture has of its own, as llama.cpp has it (src/models there). */
interface Architecture {
  /** How positions are rotated: ggml's mode. */
  readonly ropeMode: number
  readonly isGemma?: true
  /** Layers with a sliding window: all but the last of so many. */
  readonly every?: number
  /** Layers of its largest size, which scales products of queries and keys in a way of its own. */
  readonly largest?: number
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: { ropeMode: 0 },
  qwen2: { ropeMode: 2 },
  qwen3: { ropeMode: 2 },
  gemma: { ropeMode: 2, isGemma: true },
  gemma2: { ropeMode: 2, isGemma: true, every: 2, largest: 46 },
  gemma3: { ropeMode: 2, isGemma: true, every: 6, largest: 62 },
  phi3: { ropeMode: 2 },
}

/** ggml's allocator keeps a bounded list of free places (MAX_FREE_BLOCKS), and aborts where deeper models need more. */
export const MOST_LAYERS = 62

/** Reads the dimensions of a Llama-type model. @throws EngineFailure for what this trainer does not take */
export function llamaShape(file: GgufFile): LlamaShape {
  const { metadata } = file
  const architecture = String(metadata.get('general.architecture'))
  const kind = Object.hasOwn(ARCHITECTURES, architecture) ? ARCHITECTURES[architecture] : undefined
  if (kind === undefined)
    throw new EngineFailure(
      `this trainer takes the architectures ${Object.keys(ARCHITECTURES).join(', ')}; this one is ${architecture}`,
    )
  const number = (key: string, absent?: number): number => {
    const value = metadata.get(`${architecture}.${key}`) ?? absent
    if (typeof value !== 'number') throw new EngineFailure(`the model file lacks ${architecture}.${key}`)
    return value
  }
  const [width, heads] = [number('embedding_length'), number('attention.head_count')]
  const headSize = number('attention.key_length', width / heads)
  if (number('attention.value_length', headSize) !== headSize)
    throw new EngineFailure('this trainer takes only models whose keys and values have the same size')
  const layers = number('block_count')
  if (layers > MOST_LAYERS)
    throw new EngineFailure(`it has ${layers} layers, and this trainer takes up to ${MOST_LAYERS}`)
  const vocabulary = metadata.get('tokenizer.ggml.tokens')
  return {
    architecture,
    layers,
    width,
    heads,
    keyHeads: number('attention.head_count_kv', heads),
    headSize,
    hidden: number('feed_forward_length'),
    vocabulary: Array.isArray(vocabulary) ? vocabulary.length : number('vocab_size'),
    context: number('context_length'),
    epsilon: number('attention.layer_norm_rms_epsilon'),
    rotated: number('rope.dimension_count', headSize),
    ropeBase: number('rope.freq_base', 10_000),
    ropeMode: kind.ropeMode,
    ropeScale: ropeScale(metadata.get(`${architecture}.rope.scaling.type`), number('rope.scaling.factor', 1)),
    embeddingScale: kind.isGemma ? Math.sqrt(width) : 1,
    activation: kind.isGemma ? 'gelu' : 'silu',
    attentionScale: 1 / Math.sqrt(layers === kind.largest ? width / heads : headSize),
    ...capsOf(architecture, number),
    ...windowOf(kind, number),
  }
}

type ReadNumber = (key: string, absent?: number) => number

function capsOf(architecture: string, number: ReadNumber): Pick<LlamaShape, 'attentionCap' | 'outputCap'> {
  const caps = { attentionCap: number('attn_logit_softcapping', 0), outputCap: number('final_logit_softcapping', 0) }
  // llama.cpp has these for Gemma 2 where the file has not.
  if (architecture === 'gemma2') return { attentionCap: caps.attentionCap || 50, outputCap: caps.outputCap || 30 }
  return architecture === 'gemma3' && caps.outputCap > 0 ? { outputCap: caps.outputCap } : {}
}

function windowOf({ every, largest }: Architecture, number: ReadNumber): { window?: SlidingWindow } {
  const tokens = number('attention.sliding_window', largest === 46 ? 4096 : 0)
  if (every === undefined || tokens === 0) return {}
  const ropeBase = number('rope.freq_base_swa', every === 6 ? 10_000 : number('rope.freq_base', 10_000))
  return { window: { tokens, every: number('attention.sliding_window_pattern', every), ropeBase } }
}

/** Scaled rotary positions. Those of Llama 3.1 are factors in a tensor, `rope_freqs.weight`, and not named here. */
function ropeScale(type: GgufValue | undefined, factor: number): number {
  if (type === undefined || type === 'none') return 1
  if (type === 'linear') return 1 / factor
  throw new EngineFailure(`this trainer does not take rotary positions that are scaled by ${String(type)}`)
}

const KNOWN =
  /^(rope_freqs|token_embd|output|output_norm|blk\.\d+\.(attn_(norm|q|k|v|qkv|output|q_norm|k_norm)|post_(attention|ffw)_norm|ffn_(norm|gate|up|down)))\.weight$|^blk\.\d+\.attn_[qkv]\.bias$/

/** Names of the base's tensors. @throws EngineFailure for one that this trainer does not know */
export function llamaTensorNames(file: GgufFile): readonly string[] {
  const unknown = file.names.find(name => !KNOWN.test(name))
  if (unknown !== undefined) throw new EngineFailure(`this trainer does not know the base model's tensor ${unknown}`)
  return file.names
}

/** All tensors of the base, read when they are placed; keep the file open until then. @throws EngineFailure for one that this trainer does not know */
export function llamaTensors(file: GgufFile): StoredTensor[] {
  return llamaTensorNames(file).map(name => file.stored(name))
}

import { EngineFailure } from './failures.ts'
import type { GgufFile, GgufValue, StoredTensor } from './gguf.ts'
import type { LlamaShape } from './llama-graph.ts'

/** How the architectures that this trainer takes rotate positions: ggml's mode, as llama.cpp has it for each. */
const ROPE_MODES: Readonly<Record<string, number>> = { llama: 0, qwen2: 2, qwen3: 2 }

/** Reads the dimensions of a Llama-type model. @throws EngineFailure for what this trainer does not take */
export function llamaShape(file: GgufFile): LlamaShape {
  const { metadata } = file
  const architecture = String(metadata.get('general.architecture'))
  const ropeMode = Object.hasOwn(ROPE_MODES, architecture) ? ROPE_MODES[architecture] : undefined
  if (ropeMode === undefined)
    throw new EngineFailure(
      `this trainer takes the architectures ${Object.keys(ROPE_MODES).join(', ')}; this one is ${architecture}`,
    )
  const number = (key: string, absent?: number): number => {
    const value = metadata.get(`${architecture}.${key}`) ?? absent
    if (typeof value !== 'number') throw new EngineFailure(`the model file lacks ${architecture}.${key}`)
    return value
  }
  const [width, heads] = [number('embedding_length'), number('attention.head_count')]
  const headSize = number('attention.key_length', width / heads)
  if (number('attention.value_length', headSize) !== headSize || number('rope.dimension_count', headSize) !== headSize)
    throw new EngineFailure(
      'this trainer takes only models whose keys, values and rotated positions have the same size',
    )
  const vocabulary = metadata.get('tokenizer.ggml.tokens')
  return {
    architecture,
    layers: number('block_count'),
    width,
    heads,
    keyHeads: number('attention.head_count_kv', heads),
    headSize,
    hidden: number('feed_forward_length'),
    vocabulary: Array.isArray(vocabulary) ? vocabulary.length : number('vocab_size'),
    context: number('context_length'),
    epsilon: number('attention.layer_norm_rms_epsilon'),
    ropeBase: number('rope.freq_base', 10_000),
    ropeMode,
    ropeScale: ropeScale(metadata.get(`${architecture}.rope.scaling.type`), number('rope.scaling.factor', 1)),
  }
}

/** Scaled rotary positions. Those of Llama 3.1 are factors in a tensor, `rope_freqs.weight`, and not named here. */
function ropeScale(type: GgufValue | undefined, factor: number): number {
  if (type === undefined || type === 'none') return 1
  if (type === 'linear') return 1 / factor
  throw new EngineFailure(`this trainer does not take rotary positions that are scaled by ${String(type)}`)
}

const KNOWN =
  /^(rope_freqs|token_embd|output|output_norm|blk\.\d+\.(attn_(norm|q|k|v|output|q_norm|k_norm)|ffn_(norm|gate|up|down)))\.weight$|^blk\.\d+\.attn_[qkv]\.bias$/

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

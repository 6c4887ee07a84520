import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import type { GgufEntry, GgufTensor } from '../../src/engines/gguf.ts'
import { openGguf } from '../../src/engines/gguf.ts'
import { uniform } from '../../src/engines/training-batches.ts'
import { entriesOf, numberEntry, writeModel, type ReferenceKind, type SharedModel } from './f32-model.ts'

/** One way in which a model that the trainer takes can be built. */
export interface TinyKind {
  readonly name: string
  readonly architecture: string
  /** The model class in transformers, where it is not the architecture's own. */
  readonly reference?: ReferenceKind
  readonly headSize: number
  readonly bias?: true
  readonly headNorms?: true
  readonly untied?: true
  /** Norms of what attention and the feed-forward network give. */
  readonly postNorms?: true
  /** Queries, keys and values are one matrix, and so are gate and up. */
  readonly fused?: true
  readonly layers?: number
  readonly scaling?: 'linear' | 'llama3'
  /** Metadata besides, without the architecture's name. */
  readonly settings?: Readonly<Record<string, number>>
}

export const TINY_KINDS: readonly TinyKind[] = [
  { name: 'llama', architecture: 'llama', headSize: 16 },
  {
    name: 'llama, own head, scaled as Llama 3.1',
    architecture: 'llama',
    headSize: 16,
    untied: true,
    scaling: 'llama3',
  },
  { name: 'llama, linearly scaled', architecture: 'llama', headSize: 16, scaling: 'linear' },
  {
    name: 'mistral (llama in GGUF), wide heads',
    architecture: 'llama',
    reference: 'Mistral',
    headSize: 32,
    untied: true,
  },
  { name: 'qwen2', architecture: 'qwen2', headSize: 16, bias: true },
  { name: 'qwen2, own head', architecture: 'qwen2', headSize: 16, bias: true, untied: true },
  { name: 'qwen3', architecture: 'qwen3', headSize: 32, headNorms: true },
  { name: 'qwen3, own head', architecture: 'qwen3', headSize: 32, headNorms: true, untied: true },
  { name: 'gemma', architecture: 'gemma', headSize: 32 },
  {
    name: 'gemma2, sliding window, bounded logits',
    architecture: 'gemma2',
    headSize: 32,
    postNorms: true,
    settings: { 'attention.sliding_window': 9, attn_logit_softcapping: 2, final_logit_softcapping: 3 },
  },
  {
    name: 'gemma3, sliding window, linearly scaled',
    architecture: 'gemma3',
    headSize: 32,
    postNorms: true,
    headNorms: true,
    layers: 7,
    scaling: 'linear',
    settings: { 'attention.sliding_window': 9 },
  },
  { name: 'phi3', architecture: 'phi3', headSize: 16, fused: true, untied: true },
  {
    name: 'phi3, a part of each head rotated',
    architecture: 'phi3',
    headSize: 16,
    fused: true,
    untied: true,
    settings: { 'rope.dimension_count': 8 },
  },
]

const [LAYERS, WIDTH, HEADS, KEY_HEADS, HIDDEN, CONTEXT, ROPE_BASE] = [3, 64, 4, 2, 96, 256, 10_000]
const LINEAR_FACTOR = 4
/** The numbers are not those of Llama 3.1, so that within a context of 256 some frequencies are kept, some scaled and some between. */
const LLAMA3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 128 }

/** Writes a random model with the vocabulary and chat template of the one that ships with the product. */
export function tinyModel(kind: TinyKind, path: string, seed: number): Promise<SharedModel> {
  const embedded = openGguf(EMBEDDED_BASE.path)
  embedded.close()
  const vocabulary = [...embedded.metadata].filter(([key]) => key.startsWith('tokenizer.'))
  const size = (embedded.metadata.get('tokenizer.ggml.tokens') as readonly string[]).length
  const entries = [...settingsOf(kind), ...entriesOf(new Map(vocabulary))]
  const rope =
    kind.scaling === 'llama3'
      ? { rope_type: 'llama3', ...LLAMA3 }
      : kind.scaling === 'linear'
        ? { rope_type: 'linear', factor: LINEAR_FACTOR }
        : undefined
  return writeModel(path, { entries, tensors: tensorsOf(kind, size, seed) }, { kind: kind.reference, rope })
}

function settingsOf(kind: TinyKind): GgufEntry[] {
  const { architecture, headSize } = kind
  const numbers = {
    context_length: CONTEXT,
    embedding_length: WIDTH,
    block_count: kind.layers ?? LAYERS,
    feed_forward_length: HIDDEN,
    'attention.head_count': HEADS,
    'attention.head_count_kv': KEY_HEADS,
    'attention.key_length': headSize,
    'attention.value_length': headSize,
    'attention.layer_norm_rms_epsilon': 1e-5,
    'rope.dimension_count': headSize,
    'rope.freq_base': ROPE_BASE,
    ...(kind.scaling === 'linear' ? { 'rope.scaling.factor': LINEAR_FACTOR } : {}),
    ...kind.settings,
  }
  const scaling = { key: `${architecture}.rope.scaling.type`, type: 'string', value: 'linear' } as const
  return [
    { key: 'general.architecture', type: 'string', value: architecture },
    ...Object.entries(numbers).map(([key, value]) => numberEntry(`${architecture}.${key}`, value)),
    ...(kind.scaling === 'linear' ? [scaling] : []),
  ]
}

function tensorsOf(kind: TinyKind, vocabulary: number, seed: number): GgufTensor[] {
  const random = uniform(seed)
  const tensor = (name: string, columns: number, rows = 1): GgufTensor => {
    const scale = rows === 1 ? 0.4 : 3 / Math.sqrt(columns)
    const middle = name.endsWith('norm.weight') ? 1 : 0
    const data = new Float32Array(columns * rows).map(() => (random() - 0.5) * scale + middle)
    return { name, shape: [columns, rows], data }
  }
  const [q, kv] = [kind.headSize * HEADS, kind.headSize * KEY_HEADS]
  const layer = (at: string): GgufTensor[] => [
    tensor(`${at}.attn_norm.weight`, WIDTH),
    tensor(`${at}.ffn_norm.weight`, WIDTH),
    ...(kind.fused
      ? [tensor(`${at}.attn_qkv.weight`, WIDTH, q + 2 * kv), tensor(`${at}.ffn_up.weight`, WIDTH, 2 * HIDDEN)]
      : [
          tensor(`${at}.attn_q.weight`, WIDTH, q),
          tensor(`${at}.attn_k.weight`, WIDTH, kv),
          tensor(`${at}.attn_v.weight`, WIDTH, kv),
          tensor(`${at}.ffn_gate.weight`, WIDTH, HIDDEN),
          tensor(`${at}.ffn_up.weight`, WIDTH, HIDDEN),
        ]),
    tensor(`${at}.attn_output.weight`, q, WIDTH),
    tensor(`${at}.ffn_down.weight`, HIDDEN, WIDTH),
    ...(kind.postNorms ? ['attention', 'ffw'].map(name => tensor(`${at}.post_${name}_norm.weight`, WIDTH)) : []),
    ...(kind.bias
      ? [tensor(`${at}.attn_q.bias`, q), tensor(`${at}.attn_k.bias`, kv), tensor(`${at}.attn_v.bias`, kv)]
      : []),
    ...(kind.headNorms
      ? ['attn_q_norm', 'attn_k_norm'].map(name => tensor(`${at}.${name}.weight`, kind.headSize))
      : []),
  ]
  return [
    tensor('token_embd.weight', WIDTH, vocabulary),
    tensor('output_norm.weight', WIDTH),
    ...(kind.untied ? [tensor('output.weight', WIDTH, vocabulary)] : []),
    ...(kind.scaling === 'llama3' ? [frequencyFactors(kind.headSize)] : []),
    ...Array.from({ length: kind.layers ?? LAYERS }, (_, index) => layer(`blk.${index}`)).flat(),
  ]
}

/** The divisors of the frequencies, as llama.cpp's conversion writes them for `rope_type: llama3`. */
function frequencyFactors(headSize: number): GgufTensor {
  const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = LLAMA3
  const data = Float32Array.from({ length: headSize / 2 }, (_, index) => {
    const wavelength = 2 * Math.PI * ROPE_BASE ** ((2 * index) / headSize)
    if (wavelength < original / high) return 1
    if (wavelength > original / low) return factor
    const smooth = (original / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)
  })
  return { name: 'rope_freqs.weight', shape: [data.length, 1], data }
}

import { writeFile } from 'node:fs/promises'
import type { GgufEntry, GgufFile, GgufTensor } from '../../src/engines/gguf.ts'
import type { GgufValue } from '../../src/engines/gguf-header.ts'
import { encodeGguf, openGguf } from '../../src/engines/gguf.ts'

/** Where F32 tensors lie in a file: name, ggml's shape and offset in bytes. */
export interface FlatFile {
  readonly path: string
  readonly tensors: readonly (readonly [name: string, shape: readonly [number, number], offset: number])[]
}

/** Model classes of transformers, `...Config` and `...ForCausalLM`. */
export type ReferenceKind = 'Llama' | 'Mistral' | 'Qwen2' | 'Qwen3' | 'Gemma' | 'Gemma2' | 'Gemma3' | 'Phi3'

/** A model that both sides can load. */
export interface SharedModel {
  readonly path: string
  readonly flat: FlatFile
  /** Rows of queries and keys are in the order of GGUF's `llama`, which transformers does not use. */
  readonly permutes: boolean
  readonly kind: ReferenceKind
  /** Keyword arguments of the configuration in transformers. */
  readonly config: Readonly<Record<string, unknown>>
  readonly tensors: readonly Pick<GgufTensor, 'name' | 'shape'>[]
  readonly width: number
  readonly context: number
  readonly parameters: number
}

const KINDS: Readonly<Record<string, ReferenceKind>> = {
  llama: 'Llama',
  qwen2: 'Qwen2',
  qwen3: 'Qwen3',
  gemma: 'Gemma',
  gemma2: 'Gemma2',
  gemma3: 'Gemma3',
  phi3: 'Phi3',
}
const ALIGNMENT = 32

/** Writes tensors one after the other, F32. */
export async function writeFlat(path: string, tensors: readonly GgufTensor[]): Promise<FlatFile> {
  let offset = 0
  const places = tensors.map(({ name, shape, data }) => {
    const at = offset
    offset += data.byteLength
    return [name, shape, at] as const
  })
  await writeFile(
    path,
    Buffer.concat(tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))),
  )
  return { path, tensors: places }
}

/** Writes a GGUF, which is read here and by the reference. @param reference what differs in transformers from what the file says */
export async function writeModel(
  path: string,
  model: { readonly entries: readonly GgufEntry[]; readonly tensors: readonly GgufTensor[] },
  reference: { readonly kind?: ReferenceKind | undefined; readonly rope?: object | undefined } = {},
): Promise<SharedModel> {
  const { entries, tensors } = model
  const bytes = encodeGguf(entries, tensors)
  await writeFile(path, bytes)
  const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT
  let offset = bytes.length - tensors.reduce((sum, { data }) => sum + aligned(data.byteLength), 0)
  const places = tensors.map(({ name, shape, data }) => {
    const at = offset
    offset += aligned(data.byteLength)
    return [name, shape, at] as const
  })
  const file = openGguf(path)
  file.close()
  const architecture = String(file.metadata.get('general.architecture'))
  const kind = reference.kind ?? KINDS[architecture]
  if (kind === undefined) throw new Error(`the reference does not know the architecture ${architecture}`)
  const number = (key: string): number => Number(file.metadata.get(`${architecture}.${key}`))
  return {
    path,
    flat: { path, tensors: places },
    permutes: architecture === 'llama',
    kind,
    config: configOf(file, architecture, { ...reference, kind }),
    tensors: tensors.map(({ name, shape }) => ({ name, shape })),
    width: number('embedding_length'),
    context: number('context_length'),
    parameters: file.parameters,
  }
}

function configOf(
  file: GgufFile,
  architecture: string,
  reference: { readonly kind: ReferenceKind; readonly rope?: object | undefined },
): Record<string, unknown> {
  const value = (key: string): GgufValue | undefined => file.metadata.get(`${architecture}.${key}`)
  if (file.names.includes('rope_freqs.weight') && reference.rope === undefined)
    throw new Error('what scales the frequencies of this file is not known')
  const [width, heads] = [Number(value('embedding_length')), Number(value('attention.head_count'))]
  const linear = value('rope.scaling.type') === 'linear'
  const rope = {
    rope_theta: value('rope.freq_base'),
    ...(linear ? { rope_type: 'linear', factor: value('rope.scaling.factor') } : { rope_type: 'default' }),
    ...reference.rope,
  }
  const headSize = Number(value('attention.key_length') ?? width / heads)
  return {
    vocab_size: (file.metadata.get('tokenizer.ggml.tokens') as readonly string[]).length,
    hidden_size: width,
    intermediate_size: value('feed_forward_length'),
    num_hidden_layers: value('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: value('attention.head_count_kv'),
    head_dim: headSize,
    max_position_embeddings: value('context_length'),
    rms_norm_eps: value('attention.layer_norm_rms_epsilon'),
    tie_word_embeddings: !file.names.includes('output.weight'),
    rope_parameters: rope,
    ...ownOf(reference.kind, { value, rope, headSize }),
  }
}

/** What one kind of model has in its configuration besides. */
function ownOf(
  kind: ReferenceKind,
  given: { value: (key: string) => GgufValue | undefined; rope: object; headSize: number },
): Record<string, unknown> {
  const { value, rope, headSize } = given
  const windowed = { sliding_window: value('attention.sliding_window'), query_pre_attn_scalar: headSize }
  if (kind === 'Mistral') return { sliding_window: null }
  if (kind === 'Gemma2')
    return {
      ...windowed,
      attn_logit_softcapping: value('attn_logit_softcapping'),
      final_logit_softcapping: value('final_logit_softcapping'),
      // The other implementations leave the bound of the attention's logits out.
      attn_implementation: 'eager',
    }
  if (kind === 'Gemma3') {
    const local = { rope_type: 'default', rope_theta: value('rope.freq_base_swa') ?? 10_000 }
    return { ...windowed, rope_parameters: { full_attention: rope, sliding_attention: local } }
  }
  if (kind === 'Phi3') {
    const rotated = Number(value('rope.dimension_count') ?? headSize)
    return { pad_token_id: null, rope_parameters: { ...rope, partial_rotary_factor: rotated / headSize } }
  }
  return {}
}

const FLOATS = /(freq_base|freq_base_swa|epsilon|factor|softcapping)$/

/** A number with the type that llama.cpp reads this key as. */
export const numberEntry = (key: string, value: number): GgufEntry => ({
  key,
  type: FLOATS.test(key) ? 'f32' : 'u32',
  value,
})

/** Metadata to write into another file. @throws Error for arrays of numbers that are not whole, which no writer is needed for here */
export function entriesOf(metadata: ReadonlyMap<string, GgufValue>): GgufEntry[] {
  return [...metadata].map(([key, value]): GgufEntry => {
    if (typeof value === 'string') return { key, type: 'string', value }
    if (typeof value === 'boolean') return { key, type: 'bool', value }
    if (typeof value === 'number') return numberEntry(key, value)
    if (value.every(item => typeof item === 'string')) return { key, type: 'strings', value }
    if (value.every(item => Number.isInteger(item))) return { key, type: 'i32s', value }
    throw new Error(`${key} can't be copied; use a model whose vocabulary is of the type gpt2`)
  })
}

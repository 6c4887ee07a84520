import { EngineFailure } from './failures.ts'
import { GGML_TYPES } from './ggml-types.ts'
import { printable, type GgufValue } from './gguf-header.ts'
import type { GgufFile } from './gguf.ts'
import { llamaShape, llamaTensorNames } from './model-shape.ts'

/** Tokens. */
const [LEAST_CONTEXT, MOST_CONTEXT] = [64, 100_000_000]

/** What a GGUF says about itself. */
export interface ModelFacts {
  /** `general.architecture`, such as `llama`. */
  readonly architecture: string
  /** `general.license`, an SPDX id as its makers wrote it, or undefined. */
  readonly licence: string | undefined
  readonly parameters: number
  /** Tokens of the context that it was trained with. */
  readonly contextLength: number
  /** Names of its tensors' types, such as `Q4_1`; that of most values first. */
  readonly types: readonly string[]
  /** Its chat template, a program of the file's maker, and the tokens that it may name. */
  readonly template: { readonly source: string; readonly bos: string; readonly eos: string }
  /** Why the trainer can't fine-tune it; undefined: it can. */
  readonly untrainable: string | undefined
}

/** Types of tensors for people, such as `Q4_1, Q8_0 and F32`. */
export function typesInWords(types: readonly string[]): string {
  return types.length < 2 ? types.join('') : `${types.slice(0, -1).join(', ')} and ${types.at(-1) ?? ''}`
}

/** @throws EngineFailure where it is not a language model: it lacks an architecture, a context length or a tokenizer */
export function factsOf(file: GgufFile): ModelFacts {
  const { metadata, parameters } = file
  const text = (key: string): string | undefined => {
    const value = metadata.get(key)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const kind = text('general.type') ?? 'model'
  const architecture = text('general.architecture')
  const contextLength = metadata.get(`${architecture ?? ''}.context_length`)
  const tokens = metadata.get('tokenizer.ggml.tokens')
  if (kind !== 'model') throw new EngineFailure(`the file is a GGUF of the type ${printable(kind)}, not a model`)
  if (architecture === undefined || typeof contextLength !== 'number' || typeof first(tokens) !== 'string')
    throw new EngineFailure('the file is a GGUF, but not a language model: it has no context length or no tokenizer')
  if (!Number.isInteger(contextLength) || contextLength < LEAST_CONTEXT || contextLength > MOST_CONTEXT)
    throw new EngineFailure(`the file says that the model has a context of ${contextLength} tokens`)
  const parts = metadata.get('split.count') ?? 0
  if (typeof parts === 'number' && parts > 1)
    throw new EngineFailure(
      `the file is one of the ${parts} parts of a model: make one file of them with llama.cpp's llama-gguf-split --merge`,
    )
  const source = text('tokenizer.chat_template')
  if (source === undefined)
    throw new EngineFailure('the model has no chat template, so it is not a model for conversations')
  return {
    architecture: printable(architecture),
    licence: printable(text('general.license') ?? '') || undefined,
    parameters,
    contextLength,
    types: file.types.map(type => GGML_TYPES[type]?.name ?? `ggml type ${type}`),
    template: { source, bos: tokenOf(metadata, 'bos'), eos: tokenOf(metadata, 'eos') },
    untrainable: untrainable(file),
  }
}

function tokenOf(metadata: GgufFile['metadata'], which: 'bos' | 'eos'): string {
  const id = metadata.get(`tokenizer.ggml.${which}_token_id`)
  const texts = metadata.get('tokenizer.ggml.tokens')
  const found: unknown = typeof id === 'number' && Array.isArray(texts) ? texts[id] : undefined
  return typeof found === 'string' ? found : ''
}

const first = (value: GgufValue | undefined): unknown => (Array.isArray(value) ? value[0] : undefined)

function untrainable(file: GgufFile): string | undefined {
  const strange = file.types.find(type => GGML_TYPES[type] === undefined)
  if (strange !== undefined) return `its tensors have ggml type ${strange}, which the trainer can't read`
  try {
    const { layers, width, heads } = llamaShape(file)
    const names = new Set(llamaTensorNames(file))
    if (![layers, width, heads].every(size => Number.isSafeInteger(size) && size > 0) || layers > names.size)
      return "it has sizes that can't be true"
    const lacking = lackingTensor(layers, names)
    if (lacking !== undefined) return `it lacks the tensor ${lacking}`
    return undefined
  } catch (error) {
    if (error instanceof EngineFailure) return printable(error.message, 200)
    throw error
  }
}

/** Phi has queries, keys and values in one tensor, and no gate of its own. */
const OF_EACH_LAYER = ['attn_norm', 'attn_output', 'ffn_norm', 'ffn_up', 'ffn_down']

function lackingTensor(layers: number, names: ReadonlySet<string>): string | undefined {
  const own = ['token_embd.weight', 'output_norm.weight'].find(name => !names.has(name))
  if (own !== undefined) return own
  for (let layer = 0; layer < layers; layer += 1) {
    const parts = [
      ...OF_EACH_LAYER,
      ...(names.has(`blk.${layer}.attn_qkv.weight`) ? [] : ['attn_q', 'attn_k', 'attn_v']),
    ]
    const lacking = parts.map(part => `blk.${layer}.${part}.weight`).find(name => !names.has(name))
    if (lacking !== undefined) return lacking
  }
  return undefined
}

import { EngineFailure } from './failures.ts'
import { GGML_TYPES } from './ggml-types.ts'
import type { GgufFile } from './gguf.ts'
import { llamaShape, llamaTensorNames } from './model-shape.ts'

/** What a GGUF says about itself. */
export interface ModelFacts {
  /** `general.architecture`, such as `llama`. */
  readonly architecture: string
  /** `general.name`, or undefined. */
  readonly title: string | undefined
  /** `general.license`, an SPDX id as its makers wrote it, or undefined. */
  readonly licence: string | undefined
  readonly parameters: number
  /** Tokens of the context that it was trained with. */
  readonly contextLength: number
  /** Names of its tensors' types, such as `Q4_1`. */
  readonly types: readonly string[]
  /** Why the trainer can't fine-tune it; undefined: it can. */
  readonly untrainable: string | undefined
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
  if (kind !== 'model') throw new EngineFailure(`the file is a GGUF of the type ${kind}, not a model`)
  if (architecture === undefined || typeof contextLength !== 'number' || !metadata.has('tokenizer.ggml.tokens'))
    throw new EngineFailure('the file is a GGUF, but not a language model: it has no context length or no tokenizer')
  return {
    architecture,
    title: text('general.name'),
    licence: text('general.license'),
    parameters,
    contextLength,
    types: file.types.map(type => GGML_TYPES[type]?.name ?? `ggml type ${type}`),
    untrainable: untrainable(file),
  }
}

function untrainable(file: GgufFile): string | undefined {
  const strange = file.types.find(type => GGML_TYPES[type] === undefined)
  if (strange !== undefined) return `its tensors have ggml type ${strange}, which the trainer can't read`
  try {
    llamaShape(file)
    llamaTensorNames(file)
    return undefined
  } catch (error) {
    if (error instanceof EngineFailure) return error.message
    throw error
  }
}

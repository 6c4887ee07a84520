import { statSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { isAbsolute, join } from 'node:path'
import type { BaseModel, BaseModelName } from './engine.ts'
import { BaseUnavailable, EngineFailure } from './failures.ts'
import { openGguf } from './gguf.ts'
import { plainError } from '../base/plain-error.ts'

/** The model that ships with the source: see models/README.md. */
export const EMBEDDED_BASE: BaseModel = {
  name: 'ownkey-tiny-chat',
  path: join(import.meta.dirname, '..', '..', 'models', 'ownkey-tiny-chat.gguf'),
  parameters: 1_598_880,
  contextLength: 1024,
  description: 'A very small chat model of our own, for trying things out offline: recognisable English, few facts.',
  licence: 'MIT',
  sha256: '0ac76933d72dba8f5c4095ca5dbbaa42120c1771b5f63e7d5701673b7623c4ee',
  fineTune: true,
}

/** Names under which unmodified clients ask for a model. */
const DEFAULT_ALIASES: Readonly<Record<string, BaseModelName>> = {
  'gpt-4o-mini-2024-07-18': EMBEDDED_BASE.name,
  'gpt-4o-mini': EMBEDDED_BASE.name,
  'gpt-35-turbo-0125': EMBEDDED_BASE.name,
  'gpt-35-turbo': EMBEDDED_BASE.name,
}

export interface CatalogueOptions {
  /** Further bases: any GGUF that speaks ChatML; paths are absolute. */
  readonly models?: readonly BaseModel[]
  /** Added to the default aliases; a name given here wins. */
  readonly aliases?: Readonly<Record<string, BaseModelName>>
}

/**
 * Parameters below which one thread serves a model: llama.cpp's threads spin at each barrier, and on busy cores two of
 * them took 5.6 s for an answer that one gave in 0.04 s.
 */
const SMALL_MODEL = 50_000_000

/**
 * How many threads of at most `limit` an engine process should use for a model, unless the model has its own number. On cores that are busy the threads of a larger model wait for
 * each other too: 24 steps of training took 540 s with two threads and 120 s with one.
 */
export function threadsFor(
  { parameters, engine }: Pick<BaseModel, 'parameters' | 'engine'>,
  limit: number,
  machine = { cores: availableParallelism(), load: loadavg()[0] ?? 0 },
): number {
  if (engine?.threads !== undefined) return engine.threads
  const free = Math.floor(machine.cores - machine.load + 0.5)
  return parameters < SMALL_MODEL ? 1 : Math.max(1, Math.min(limit, free))
}

/** The base models of an installation. */
export class Catalogue {
  readonly #models = new Map<BaseModelName, BaseModel>()
  readonly #aliases: ReadonlyMap<string, BaseModelName>

  /** @throws EngineFailure for a name given twice, a relative path or an alias that leads nowhere */
  constructor(options: CatalogueOptions = {}) {
    for (const model of [EMBEDDED_BASE, ...(options.models ?? [])]) {
      if (this.#models.has(model.name)) throw new EngineFailure(`two base models are named ${model.name}`)
      if (!isAbsolute(model.path)) throw new EngineFailure(`the path of base model ${model.name} is not absolute`)
      this.#models.set(model.name, model)
    }
    this.#aliases = new Map(Object.entries({ ...DEFAULT_ALIASES, ...options.aliases }))
    for (const [alias, name] of this.#aliases) {
      if (!this.#models.has(name)) throw new EngineFailure(`alias ${alias} names ${name}, which is not a base model`)
    }
  }

  /** Opens the file of each model. @throws EngineFailure that names one that is missing, cut off or not a model, and says what to do */
  check(): void {
    for (const { name, path, openWeights } of this.#models.values()) {
      // Whoever made a sealed one has opened it.
      const fault = openWeights === undefined ? faultOf(path) : undefined
      if (fault !== undefined)
        throw new EngineFailure(`The base model ${name} can't be used: ${fault} Put ${path} back as it was installed.`)
    }
  }

  get models(): readonly BaseModel[] {
    return [...this.#models.values()]
  }

  /** [alias, base], also of aliases that a model's own name hides. */
  get aliases(): readonly (readonly [string, BaseModelName])[] {
    return [...this.#aliases]
  }

  /** The base model of a name or alias, or undefined. */
  get(name: string): BaseModel | undefined {
    return this.#models.get(name) ?? this.#models.get(this.#aliases.get(name) ?? '')
  }

  /**
   * As `get`. @param sha256 of the file on which an adapter was trained; absent for those from before it was kept
   * @throws BaseUnavailable when there is none, or its file is another one than was fine-tuned, or than at the start
   */
  find(name: string, sha256?: string): BaseModel {
    const model = this.get(name)
    if (model === undefined)
      throw new BaseUnavailable(`the base model ${name.slice(0, 100)} is not in this cloud any more`)
    if (sha256 !== undefined && model.sha256 !== sha256)
      throw new BaseUnavailable(`the base model ${model.name} is another file than the one that was fine-tuned`)
    if (model.stamp !== undefined && stateOf(model) !== 'in order')
      throw new BaseUnavailable(
        `the file of the base model ${model.name} was changed or taken away while the service ran`,
      )
    return model
  }
}

/** What became of a base's file since the start, which compared it with its SHA-256. While size and time of change are the same, it still is that file. */
export function stateOf({ path, stamp }: BaseModel): 'in order' | 'changed' | 'missing' {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return 'missing'
  return stamp === undefined || (found.size === stamp.bytes && found.mtimeMs === stamp.modified)
    ? 'in order'
    : 'changed'
}

function faultOf(path: string): string | undefined {
  try {
    const file = openGguf(path)
    file.close()
    return file.isWhole ? undefined : 'its file is cut off.'
  } catch (error) {
    return error instanceof EngineFailure ? `${error.message}.` : plainError(error)
  }
}

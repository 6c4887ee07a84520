import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseDocument, stringify } from 'yaml'
import { z } from 'zod'
import { plainError } from '../base/plain-error.ts'
import type { CatalogueOptions } from './catalogue.ts'
import type { BaseModel } from './engine.ts'
import { EngineFailure } from './failures.ts'
import { openGguf } from './gguf.ts'
import { loraOf, loraSettings } from './lora-settings.ts'
import { factsOf, type ModelFacts } from './model-facts.ts'

/** The operator's base models, in the data folder. `ownkey models` writes it, and a start reads it. */
export const MODELS_FILE = 'models.yaml'

const HEADING = '# Base models of this cloud: see `./ownkey models`. A start reads it.\n'
const MAX_BYTES = 1024 * 1024
/** A colon and a slash have meanings in names of fine-tuned models and in paths. */
export const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const name = z.string().regex(MODEL_NAME, 'a name has 1 to 64 letters, digits, dots, hyphens and underscores')
const entry = z.strictObject({
  name,
  /** Relative to the data folder, or absolute. */
  file: z.string().min(1).max(4096),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'it must be 64 hexadecimal digits'),
  bytes: z.int().positive(),
  /** When the file was changed last, in ms since 1970. While it and the size are the same, it is not read again at each start. */
  modified: z.number(),
  licence: z.string().min(1).max(200),
  /** Tokens, where it is not the context that the model was trained with. */
  context: z.int().min(64).max(10_000_000).optional(),
  aliases: z.array(name).max(100).default([]),
  /** How new adapters on it are shaped. */
  training: loraSettings.optional(),
})
const modelsFile = z.strictObject({ models: z.array(entry).max(100).default([]) })

/** A base model as `models.yaml` has it. */
export type ModelEntry = z.infer<typeof entry>

/** The entries of a data folder; none without the file. @throws EngineFailure that names the file, the field and what is wrong */
export async function readModelsFile(dataDir: string): Promise<readonly ModelEntry[]> {
  const path = resolve(dataDir, MODELS_FILE)
  const fail = (message: string): never => {
    throw new EngineFailure(`${path}: ${message}`)
  }
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    return fail(plainError(error))
  })
  if (text.length > MAX_BYTES) fail(`it has more than ${MAX_BYTES} bytes.`)
  const document = parseDocument(text, { logLevel: 'error' })
  const [flaw] = document.errors
  if (flaw !== undefined) fail(`it is not valid YAML: ${flaw.message}`)
  const read = modelsFile.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {})
  if (!read.success) {
    const [issue] = read.error.issues
    return fail(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it does not fit'}.`)
  }
  return read.data.models
}

/** The text of the file. */
export function modelsFileText(models: readonly ModelEntry[]): string {
  return HEADING + stringify({ models })
}

/** What a GGUF says about itself. @throws EngineFailure that names the file, where it is missing, cut off or not a language model */
export function readFacts(path: string): ModelFacts {
  try {
    const file = openGguf(path)
    try {
      if (!file.isWhole) throw new EngineFailure('the file is cut off')
      return factsOf(file)
    } finally {
      file.close()
    }
  } catch (error) {
    const why = error instanceof EngineFailure ? `${error.message}.` : plainError(error)
    throw new EngineFailure(`${path} can't be used: ${why}`, { cause: error })
  }
}

/** SHA-256 of a file, in hexadecimal. */
export async function digestOfFile(path: string): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) digest.update(chunk as Buffer)
  return digest.digest('hex')
}

/** The catalogue of a data folder. @throws EngineFailure where a file is missing, or is not the one that was added */
export async function openModels(dataDir: string): Promise<CatalogueOptions> {
  const entries = await readModelsFile(dataDir)
  const models: BaseModel[] = []
  for (const one of entries) models.push(await baseOf(dataDir, one))
  const aliases = entries.flatMap(one => one.aliases.map(alias => [alias, one.name] as const))
  return { models, aliases: Object.fromEntries(aliases) }
}

/** @throws EngineFailure as `openModels` */
async function baseOf(dataDir: string, one: ModelEntry): Promise<BaseModel> {
  const path = resolve(dataDir, one.file)
  const advice = `Put the file back, or take it out: ./ownkey models remove ${one.name}`
  const found = await stat(path).catch((error: unknown) => {
    throw new EngineFailure(`The base model ${one.name} can't be used: ${plainError(error)}\n${advice}`, {
      cause: error,
    })
  })
  const isSame = found.size === one.bytes && found.mtimeMs === one.modified
  if (!isSame && (found.size !== one.bytes || (await digestOfFile(path)) !== one.sha256))
    throw new EngineFailure(
      `The base model ${one.name} can't be used: ${path} is not the file that was added, and what was fine-tuned on it would answer otherwise.\n${advice}`,
    )
  const facts = readFacts(path)
  return {
    name: one.name,
    path,
    sha256: one.sha256,
    parameters: facts.parameters,
    contextLength: one.context ?? facts.contextLength,
    description: `${facts.title ?? one.name}: ${facts.architecture}, ${facts.types.join(' and ')}`,
    licence: one.licence,
    ...(one.training === undefined ? {} : { lora: loraOf(one.training) }),
    fineTune: facts.untrainable === undefined,
    ...(facts.untrainable === undefined ? {} : { untrainable: facts.untrainable }),
  }
}

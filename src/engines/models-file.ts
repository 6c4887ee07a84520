import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseDocument, stringify } from 'yaml'
import { z } from 'zod'
import { plainError } from '../base/plain-error.ts'
import { UsageError } from '../base/usage-error.ts'
import { EMBEDDED_BASE, type CatalogueOptions } from './catalogue.ts'
import type { BaseModel } from './engine.ts'
import { EngineFailure } from './failures.ts'
import { printable } from './gguf-header.ts'
import { openGguf } from './gguf.ts'
import { loraOf, loraSettings } from './lora-settings.ts'
import { withHeader, type OpenWeights } from './sealed-weights.ts'
import { factsOf, typesInWords, type ModelFacts } from './model-facts.ts'

/** The operator's base models, in the data folder. `ownkey models` writes it, and a start reads it. */
export const MODELS_FILE = 'models.yaml'

const HEADING = '# Base models of this cloud: see `./ownkey models`. A start reads it.\n'
const MAX_BYTES = 1024 * 1024
/** A colon and a slash have meanings in names of fine-tuned models and in paths. */
const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

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
  /** Of its engine, also on busy cores. */
  threads: z.int().min(1).max(1024).optional(),
  /** Layers that a GPU computes, where the cloud uses one. */
  gpuLayers: z.union([z.int().min(0).max(10_000), z.enum(['max', 'auto'])]).optional(),
  aliases: z.array(name).max(100).default([]),
  /** How new adapters on it are shaped. */
  training: loraSettings.optional(),
  /** What opens a file that is sealed, with the root key. `sha256` is that of the plaintext. */
  sealed: z.strictObject({ id: z.uuid(), key: z.base64().length(84) }).optional(),
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
  const text = await textOf(path).catch((error: unknown) => fail(plainError(error)))
  const read = modelsFile.safeParse(yamlOf(text, fail) ?? {})
  if (!read.success) {
    return fail(flawOf(read.error))
  }
  const names = read.data.models.flatMap(one => [one.name, ...one.aliases])
  const twice = names.find((one, index) => names.indexOf(one) < index || one === EMBEDDED_BASE.name)
  if (twice !== undefined) fail(`two base models have the name or alias ${twice}.`)
  return read.data.models
}

/** '' without the file. @throws Error */
async function textOf(path: string): Promise<string> {
  // Opening a FIFO would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return ''
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new Error('it is not a file.')
    if (found.size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes.`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function yamlOf(text: string, fail: (message: string) => never): unknown {
  try {
    const document = parseDocument(text, { logLevel: 'error' })
    const [flaw] = document.errors
    if (flaw === undefined) return document.toJS({ maxAliasCount: 0 })
    return fail(`it is not valid YAML: ${flaw.message.split('\n', 1)[0]?.replace(/:$/, '.') ?? ''}`)
  } catch (error) {
    if (error instanceof EngineFailure) throw error
    // Nested deeper than the stack, or with anchors.
    return fail('it is nested too deep or has anchors.')
  }
}

/** An entry as the file can hold it. @throws UsageError for one that it could not be read with */
export function checkEntry(given: ModelEntry): ModelEntry {
  const read = entry.safeParse(given)
  if (read.success) return read.data
  throw new UsageError(flawOf(read.error))
}

/** The first thing that is wrong, with its field. */
function flawOf({ issues: [issue] }: z.ZodError): string {
  const field = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  return `${field}${issue?.message ?? 'it does not fit'}.`
}

/** @throws UsageError for names that are no names of models, taken, or given twice; upper and lower case make no difference */
export function checkNames(names: readonly string[], before: readonly ModelEntry[]): void {
  const taken = new Map<string, string>()
  for (const one of [EMBEDDED_BASE, ...before])
    for (const each of [one.name, ...('aliases' in one ? one.aliases : [])]) taken.set(each.toLowerCase(), one.name)
  for (const one of names) {
    if (!MODEL_NAME.test(one) || one.includes('.ft-'))
      throw new UsageError(
        `${printable(one)} can't be a model's name: use 1 to 64 letters, digits, dots, hyphens and underscores, without '.ft-'.`,
      )
    const owner = taken.get(one.toLowerCase())
    if (owner === undefined) continue
    const said =
      owner.toLowerCase() === one.toLowerCase()
        ? `There is a base model ${owner} already`
        : `${one} is a name of the base model ${owner} already`
    throw new UsageError(`${said}: give another name, or remove that one.`)
  }
  if (new Set(names.map(one => one.toLowerCase())).size < names.length)
    throw new UsageError('The name and the aliases must differ.')
}

/** The text of the file. */
export function modelsFileText(models: readonly ModelEntry[]): string {
  return HEADING + stringify({ models }, { aliasDuplicateObjects: false })
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
export async function digestOfFile(path: string, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal }))
    digest.update(chunk as Buffer)
  return digest.digest('hex')
}

/** The catalogue of a data folder. @throws EngineFailure where a file is missing, or is not the one that was added */
export async function openModels(dataDir: string, open: OpenWeights): Promise<CatalogueOptions> {
  const entries = await readModelsFile(dataDir)
  const models: BaseModel[] = []
  for (const one of entries) models.push(await baseOf(dataDir, one, open))
  const aliases = entries.flatMap(one => one.aliases.map(alias => [alias, one.name] as const))
  return { models, aliases: Object.fromEntries(aliases) }
}

/** What became of the file of an entry since it was added. */
export type EntryState =
  | { readonly state: 'in order'; readonly facts: ModelFacts }
  | { readonly state: 'missing' | 'changed'; readonly why: string }

/** Looks at the file of an entry; reads all of it only where its time of change is another one. */
export async function stateOfEntry(dataDir: string, one: ModelEntry, open: OpenWeights): Promise<EntryState> {
  const path = resolve(dataDir, one.file)
  const found = await stat(path).catch(plainError)
  if (typeof found === 'string') return { state: 'missing', why: found }
  try {
    const isSame = found.isFile() && found.size === one.bytes
    if (!isSame || (found.mtimeMs !== one.modified && (await digestOf(path, one, open)) !== one.sha256))
      return {
        state: 'changed',
        why: `${path} is not the file that was added, and what was fine-tuned on it would answer otherwise.`,
      }
    return { state: 'in order', facts: await factsOfEntry(path, one, open) }
  } catch (error) {
    return { state: 'changed', why: plainError(error) }
  }
}

async function factsOfEntry(path: string, { sealed }: ModelEntry, open: OpenWeights): Promise<ModelFacts> {
  if (sealed === undefined) return readFacts(path)
  const weights = await open(path, sealed)
  try {
    return await withHeader(weights, readFacts)
  } finally {
    await weights.close()
  }
}

async function digestOf(path: string, { sealed }: ModelEntry, open: OpenWeights): Promise<string> {
  if (sealed === undefined) return digestOfFile(path)
  const weights = await open(path, sealed)
  const digest = createHash('sha256')
  try {
    for await (const part of weights.read()) digest.update(part)
    return digest.digest('hex')
  } finally {
    await weights.close()
  }
}

/** Tokens. A longer context than the model was trained with is of no use. */
export function contextOf({ context }: ModelEntry, { contextLength }: ModelFacts): number {
  return Math.min(context ?? contextLength, contextLength)
}

/** @throws EngineFailure as `openModels` */
async function baseOf(dataDir: string, one: ModelEntry, open: OpenWeights): Promise<BaseModel> {
  const found = await stateOfEntry(dataDir, one, open)
  if (found.state !== 'in order') {
    const advice = `Put the file back, or take it out: ./ownkey models remove ${one.name}`
    throw new EngineFailure(`The base model ${one.name} can't be used: ${found.why}\n${advice}`)
  }
  const { facts } = found
  const { sealed } = one
  const path = resolve(dataDir, one.file)
  const { size, mtimeMs } = await stat(path)
  return {
    name: one.name,
    path,
    sha256: one.sha256,
    stamp: { bytes: size, modified: mtimeMs },
    parameters: facts.parameters,
    contextLength: contextOf(one, facts),
    description: `${facts.architecture}, ${typesInWords(facts.types)}`,
    licence: one.licence,
    ...(one.training === undefined ? {} : { lora: loraOf(one.training) }),
    ...(sealed === undefined ? {} : { openWeights: () => open(path, sealed) }),
    fineTune: facts.untrainable === undefined,
    ...(facts.untrainable === undefined ? {} : { untrainable: facts.untrainable }),
    engine: {
      threads: one.threads,
      context: one.context === undefined ? undefined : contextOf(one, facts),
      gpuLayers: one.gpuLayers,
    },
  }
}

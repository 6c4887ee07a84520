import { chmod, copyFile, rm, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { openDataFolder } from '../base/data-folder.ts'
import { makeFolder } from '../base/make-folder.ts'
import { fitted, shellWord } from '../base/terminal.ts'
import { UsageError } from '../base/usage-error.ts'
import { EMBEDDED_BASE } from '../engines/catalogue.ts'
import {
  digestOfFile,
  MODEL_NAME,
  MODELS_FILE,
  modelsFileText,
  readFacts,
  readModelsFile,
  type ModelEntry,
} from '../engines/models-file.ts'
import { writeFileAtomically } from '../store/atomic-file.ts'
import { fetchModel } from './fetch-model.ts'

/** Files that were brought or copied lie here, in the data folder. */
const FOLDER = 'models'

export interface AddOptions {
  readonly dataDir: string
  /** A GGUF file, `hf:OWNER/REPO:QUANT`, an address, or a model that is known by name. */
  readonly source: string
  readonly name: string | undefined
  readonly aliases: readonly string[]
  readonly context: number | undefined
  readonly licence: string | undefined
  /** Whether to copy a file into the data folder. */
  readonly copy: boolean
}

/** Adds a base model to `models.yaml`. Resolves to the exit code. @throws EngineFailure, UsageError; then nothing is changed */
export async function addModel(options: AddOptions): Promise<number> {
  const { dataDir, aliases } = options
  await openDataFolder(dataDir)
  const before = await readModelsFile(dataDir)
  const into = join(resolve(dataDir), FOLDER)
  const fetched = await fetchModel(options.source, into)
  const facts = readFacts(fetched.path)
  const name = options.name ?? fetched.name ?? nameOf(facts.title ?? basename(fetched.path, '.gguf'))
  checkNames([name, ...aliases], before)
  const licence = options.licence ?? fetched.licence ?? facts.licence
  if (licence === undefined)
    throw new UsageError(`${fetched.path} does not say its licence: give it with --licence, as an SPDX id.`)
  const path = options.copy && !fetched.isOurs ? await copied(fetched.path, into) : fetched.path
  // Ours can be read by its owner alone, as everything in the folder.
  if (path !== fetched.path || fetched.isOurs) await chmod(path, 0o600)
  const { size, mtimeMs } = await stat(path)
  const entry: ModelEntry = {
    name,
    file: fetched.isOurs || options.copy ? relative(resolve(dataDir), path) : path,
    sha256: await digestOfFile(path),
    bytes: size,
    modified: mtimeMs,
    licence,
    ...(options.context === undefined ? {} : { context: Math.min(options.context, facts.contextLength) }),
    aliases: [...aliases],
  }
  await write(dataDir, [...before, entry])
  const tuned = facts.untrainable === undefined ? 'yes' : `no: ${facts.untrainable}`
  const lines = [
    `Added ${name}: ${facts.parameters.toLocaleString('en')} parameters, ${facts.architecture}, ${facts.types.join(' and ')}`,
    `  file         ${path}`,
    `  SHA-256      ${entry.sha256}`,
    `  licence      ${licence}`,
    `  context      ${(entry.context ?? facts.contextLength).toLocaleString('en')} tokens`,
    `  fine-tuning  ${tuned}`,
    ...(aliases.length === 0 ? [] : [`  also as      ${aliases.join(', ')}`]),
    "Its weights are yours and not a customer's, so they are not sealed. A cloud that runs has it after its next start. Try it:",
    `./ownkey models check ${shellWord(name)} --data-dir ${shellWord(dataDir)}`,
  ]
  process.stdout.write(`${fitted(lines.join('\n'), '    ')}\n`)
  return 0
}

/** Lists base models. Resolves to the exit code: 1 where the file of one can't be used. */
export async function listModels({ dataDir, format }: { dataDir: string; format: 'text' | 'json' }): Promise<number> {
  const entries = await readModelsFile(dataDir)
  const rows = entries.map(entry => ({ ...entry, path: resolve(dataDir, entry.file), ...stateOf(dataDir, entry) }))
  if (format === 'json') process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  else {
    const own = `${EMBEDDED_BASE.name}  ${EMBEDDED_BASE.parameters.toLocaleString('en')} parameters, ${EMBEDDED_BASE.licence}, comes with OwnKey`
    const lines = rows.flatMap(row => [
      `${row.name}  ${row.says}, ${row.licence}`,
      ...(row.aliases.length === 0 ? [] : [`  also as ${row.aliases.join(', ')}`]),
      `  ${row.path}`,
    ])
    process.stdout.write(`${fitted([own, ...lines].join('\n'), '  ')}\n`)
  }
  return rows.some(({ usable }) => !usable) ? 1 : 0
}

function stateOf(dataDir: string, { file }: ModelEntry): { readonly usable: boolean; readonly says: string } {
  try {
    const { parameters, types, untrainable } = readFacts(resolve(dataDir, file))
    const tuned = untrainable === undefined ? 'can be fine-tuned' : "can't be fine-tuned"
    return { usable: true, says: `${parameters.toLocaleString('en')} parameters, ${types.join(' and ')}, ${tuned}` }
  } catch (error) {
    return { usable: false, says: error instanceof Error ? error.message : String(error) }
  }
}

/** Takes a base model out of `models.yaml`, with its file where it lies in the data folder. Resolves to the exit code. */
export async function removeModel({ dataDir, name }: { dataDir: string; name: string }): Promise<number> {
  const before = await readModelsFile(dataDir)
  const entry = before.find(one => one.name === name)
  if (entry === undefined) throw new UsageError(`There is no base model ${name} in ${join(dataDir, MODELS_FILE)}.`)
  await write(
    dataDir,
    before.filter(one => one !== entry),
  )
  const isOurs = entry.file.startsWith(`${FOLDER}/`)
  if (isOurs) await rm(resolve(dataDir, entry.file), { force: true })
  const what = isOurs ? 'with its file' : `its file ${entry.file} stays where it is`
  const text = `Removed ${name}, ${what}. What was fine-tuned on it stays, and is served again only when the same file is added under this name.`
  process.stdout.write(`${fitted(text)}\n`)
  return 0
}

function checkNames(names: readonly string[], before: readonly ModelEntry[]): void {
  for (const one of names) {
    if (!MODEL_NAME.test(one) || one.includes('.ft-'))
      throw new UsageError(
        `${one} can't be a model's name: use 1 to 64 letters, digits, dots, hyphens and underscores, without '.ft-'.`,
      )
    const taken = one === EMBEDDED_BASE.name || before.some(({ name, aliases }) => [name, ...aliases].includes(one))
    if (taken) throw new UsageError(`There is a base model ${one} already: give another --name, or remove that one.`)
  }
  if (new Set(names).size < names.length) throw new UsageError('The name and the aliases must differ.')
}

/** A title such as `SmolLM2 135M Instruct` as a name. */
function nameOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9._]+/g, '-')
    .replaceAll(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, 64)
}

async function copied(path: string, into: string): Promise<string> {
  await makeFolder(into)
  const to = join(into, basename(path))
  await copyFile(path, to)
  return to
}

async function write(dataDir: string, entries: readonly ModelEntry[]): Promise<void> {
  await writeFileAtomically(join(dataDir, MODELS_FILE), modelsFileText(entries))
}

import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openDataFolder } from '../base/data-folder.ts'
import { fitted, shellWord } from '../base/terminal.ts'
import { UsageError } from '../base/usage-error.ts'
import { EMBEDDED_BASE } from '../engines/catalogue.ts'
import { typesInWords } from '../engines/model-facts.ts'
import { contextOf, MODELS_FILE, readModelsFile, stateOfEntry, type ModelEntry } from '../engines/models-file.ts'
import { addBase, type NewModel } from './add-model.ts'
import { interruptible } from './interruptible.ts'
import { changeModels, isOwnFile, weightsOf } from './models-folder.ts'

/** Adds a base model to `models.yaml`. Resolves to the exit code. @throws EngineFailure, UsageError, Error; then nothing is changed */
export async function addModel(options: NewModel): Promise<number> {
  const { dataDir } = options
  await openDataFolder(dataDir)
  const { entry, path, facts } = await interruptible(signal => addBase(options, signal))
  const tuned = facts.untrainable === undefined ? 'yes' : `no: ${facts.untrainable}`
  const lines = [
    `Added ${entry.name}.`,
    `  parameters   ${facts.parameters.toLocaleString('en')}, ${facts.architecture}, ${typesInWords(facts.types)}`,
    `  file         ${path}`,
    `  SHA-256      ${entry.sha256}`,
    `  licence      ${entry.licence}`,
    `  context      ${contextOf(entry, facts).toLocaleString('en')} tokens`,
    `  fine-tuning  ${tuned}`,
    ...(entry.aliases.length === 0 ? [] : [`  also as      ${entry.aliases.join(', ')}`]),
    entry.sealed === undefined
      ? "Its weights are yours and not a customer's, so they are not sealed. A cloud that runs has it after its next start. Try it:"
      : `Its weights are sealed under the root key; ${options.source} is still there in the clear. Each engine that uses them holds a copy in memory. A cloud that runs has it after its next start. Try it:`,
    `./ownkey models check ${shellWord(entry.name)} --data-dir ${shellWord(dataDir)}`,
  ]
  process.stdout.write(`${fitted(lines.join('\n'), '    ')}\n`)
  return 0
}

/** Lists base models. Resolves to the exit code: 1 where the file of one can't be used. */
export async function listModels({ dataDir, format }: { dataDir: string; format: 'text' | 'json' }): Promise<number> {
  const entries = await readModelsFile(dataDir)
  const rows = await Promise.all(
    entries.map(async entry => ({ ...entry, path: resolve(dataDir, entry.file), ...(await stateOf(dataDir, entry)) })),
  )
  if (format === 'json') process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  else {
    const own = `${EMBEDDED_BASE.name}\n  ${EMBEDDED_BASE.parameters.toLocaleString('en')} parameters, ${EMBEDDED_BASE.licence}, comes with OwnKey`
    const lines = rows.flatMap(row => [
      `${row.name}\n  ${row.says}`,
      ...(row.aliases.length === 0 ? [] : [`  also as ${row.aliases.join(', ')}`]),
      ...settingsOf(row),
      `  ${row.path}`,
    ])
    process.stdout.write(`${fitted([own, ...lines].join('\n'), '  ')}\n`)
  }
  return rows.some(({ usable }) => !usable) ? 1 : 0
}

/** What the operator set for it; no line where nothing is. */
function settingsOf({ context, threads, gpuLayers, training }: ModelEntry): string[] {
  const { rank, alpha, targets } = training ?? {}
  const said = Object.entries({ context, threads, gpuLayers, rank, alpha, targets: targets?.join(' ') })
  const given = said.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]))
  return given.length === 0 ? [] : [`  set: ${given.join(', ')}`]
}

async function stateOf(dataDir: string, entry: ModelEntry): Promise<{ usable: boolean; says: string }> {
  const found = await stateOfEntry(dataDir, entry, weightsOf(dataDir))
  if (found.state !== 'in order') return { usable: false, says: `${found.state}: ${found.why}` }
  const { parameters, types, untrainable } = found.facts
  const tuned = untrainable === undefined ? 'can be fine-tuned' : `can't be fine-tuned: ${untrainable}`
  const sealed = entry.sealed === undefined ? '' : 'sealed, '
  const says = `${parameters.toLocaleString('en')} parameters, ${typesInWords(types)}, ${entry.licence}, ${sealed}${tuned}`
  return { usable: true, says }
}

/** Takes a base model out of `models.yaml`, with its file where that was fetched or copied. Resolves to the exit code. */
export async function removeModel({ dataDir, name }: { dataDir: string; name: string }): Promise<number> {
  if ((await readModelsFile(dataDir)).length === 0) throw none(dataDir, name)
  const text = await changeModels(dataDir, async ({ entries, write }) => {
    const entry = entries.find(one => one.name === name)
    if (entry === undefined) throw none(dataDir, name, entries)
    const others = entries.filter(one => one !== entry)
    await write(others)
    const isShared = others.some(({ file }) => resolve(dataDir, file) === resolve(dataDir, entry.file))
    const isOurs = isOwnFile(dataDir, entry.file) && !isShared
    if (isOurs) await rm(resolve(dataDir, entry.file), { force: true })
    const what = isOurs ? 'with its file' : `its file ${entry.file} stays where it is`
    return `Removed ${name}, ${what}. What was fine-tuned on it stays, and is served again only when the same file is added under this name.`
  })
  process.stdout.write(`${fitted(text)}\n`)
  return 0
}

function none(dataDir: string, name: string, entries: readonly ModelEntry[] = []): UsageError {
  const owner = entries.find(({ aliases }) => aliases.includes(name))
  if (owner !== undefined)
    return new UsageError(
      `${name} is an alias of the base model ${owner.name}, which goes with all its names: remove that one.`,
    )
  const why =
    name === EMBEDDED_BASE.name ? `${name} comes with OwnKey and can't be removed.` : `There is no base model ${name}`
  return new UsageError(name === EMBEDDED_BASE.name ? why : `${why} in ${join(dataDir, MODELS_FILE)}.`)
}

import { dirname, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { openDataFolder } from '../base/data-folder.ts'
import { checkEntry, checkNames, digestOfFile, readModelsFile, type ModelEntry } from '../engines/models-file.ts'
import { problemText, type Seed } from '../seed/seed-file.ts'
import type { SeedModel } from '../seed/seed-schema.ts'
import { lockFolder } from '../store/folder-lock.ts'
import { addBase } from './add-model.ts'
import { interruptible } from './interruptible.ts'
import { changeModels } from './models-folder.ts'

/** What became of one base model of a seed. */
export interface ModelEffect {
  readonly effect: 'made' | 'changed' | 'same'
  /** For people; absent where it is as it was. */
  readonly line?: string
}

/**
 * Adds the base models of a seed file to a folder in which no cloud runs. None is ever replaced or taken out.
 * @throws Error with file, line and field at the first that can't be; what comes before it stays
 */
export async function seedModels(seed: Seed, dataDir: string): Promise<ModelEffect[]> {
  await openDataFolder(dataDir)
  // A cloud that runs would not have them, and the start is refused anyway.
  await (await lockFolder(dataDir)).release()
  const effects: ModelEffect[] = []
  for (const [index, wanted] of seed.content.models.entries()) {
    try {
      effects.push(await seedOne(wanted, { dataDir, folder: dirname(resolve(seed.lines.file)) }))
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error)
      const message = `the base model ${wanted.name} failed: ${said}`
      throw new Error(problemText(seed.lines, { path: ['models', index], message }), { cause: error })
    }
  }
  return effects
}

async function seedOne(
  wanted: SeedModel,
  { dataDir, folder }: { dataDir: string; folder: string },
): Promise<ModelEffect> {
  const { name, file, source } = wanted
  const path = file === undefined ? undefined : resolve(folder, file)
  const there = (await readModelsFile(dataDir)).find(one => one.name === name)
  if (there !== undefined) {
    await checkSame(wanted, there, { dataDir, path })
    return changeOne(wanted, dataDir)
  }
  const { licence, sha256, context, threads, gpuLayers, aliases, copy } = wanted
  const settings = { licence, sha256, context, threads, gpuLayers }
  const model = { dataDir, source: path ?? source ?? '', name, aliases, ...settings, copy, seal: false }
  await interruptible(signal => addBase(model, signal))
  return { effect: 'made', line: `made    base model ${name}${source === undefined ? '' : ` (fetched: ${source})`}` }
}

/** @throws Error where the seed means other weights than those that are there, since what was fine-tuned depends on them */
async function checkSame(
  wanted: SeedModel,
  there: ModelEntry,
  { dataDir, path }: { dataDir: string; path: string | undefined },
) {
  const isItself = path === undefined || path === resolve(dataDir, there.file)
  const expected = wanted.sha256?.toLowerCase() ?? (isItself ? there.sha256 : await digestOfFile(path))
  if (expected !== there.sha256)
    throw new Error(
      `there is one already, and its file is another one (SHA-256 ${there.sha256}). Give this one another name, or take that one out: ./ownkey models remove ${there.name}`,
    )
}

/** What the seed says besides the weights. Aliases that it does not name stay. */
async function changeOne(wanted: SeedModel, dataDir: string): Promise<ModelEffect> {
  const { name, aliases, licence, context, threads, gpuLayers } = wanted
  return changeModels(dataDir, async ({ entries, write }) => {
    const entry = entries.find(one => one.name === name)
    if (entry === undefined) throw new Error('it was taken out meanwhile')
    const added = aliases.filter(one => !entry.aliases.includes(one))
    checkNames(added, entries)
    const next = checkEntry({
      ...entry,
      ...(licence === undefined ? {} : { licence }),
      ...(context === undefined ? {} : { context }),
      ...(threads === undefined ? {} : { threads }),
      ...(gpuLayers === undefined ? {} : { gpuLayers }),
      aliases: [...entry.aliases, ...added],
    })
    if (isDeepStrictEqual(next, entry)) return { effect: 'same' }
    await write(entries.map(one => (one === entry ? next : one)))
    return { effect: 'changed', line: `changed base model ${name}` }
  })
}

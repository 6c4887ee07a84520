import { readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder } from '../base/make-folder.ts'
import { MODELS_FILE, modelsFileText, readModelsFile, type ModelEntry } from '../engines/models-file.ts'
import type { OpenWeights } from '../engines/sealed-weights.ts'
import { openBase } from '../encryption/sealed-base.ts'
import { rootKeysOf } from '../folder/stopped-folder.ts'
import { writeFileAtomically } from '../store/atomic-file.ts'
import { FolderInUse, lockFolder } from '../store/folder-lock.ts'

/** Files that were brought or copied lie here, in the data folder. */
const FOLDER = 'models'
/** What is on its way, in the folder of models. */
const INCOMING = '.incoming'
/** Ends with it: it may be gone on with. */
const PART = '.part'
const WAIT_MS = 10_000
const ASK_MS = 200
/** How long a download that was begun is kept. */
const KEPT_MS = 7 * 86_400_000

export const modelsFolder = (dataDir: string): string => join(resolve(dataDir), FOLDER)

/** Where files on their way to a data folder lie, on the same disk. */
export const incomingFolder = (dataDir: string): string => join(modelsFolder(dataDir), INCOMING)

/** Whether the file of an entry lies in our folder, so that it goes with its entry. What the text of the path begins with does not tell. */
export function isOwnFile(dataDir: string, file: string): boolean {
  return (
    dirname(resolve(dataDir, file)) === modelsFolder(dataDir) && file === `${FOLDER}/${file.split('/').at(-1) ?? ''}`
  )
}

/** Opens sealed bases with the root key of the folder, which is read only where there is one. */
export function weightsOf(dataDir: string): OpenWeights {
  return async (path, sealed) => openBase(path, sealed, await rootKeysOf(dataDir))
}

/** The base models of a data folder while nobody else changes them. */
export interface LockedModels {
  readonly entries: readonly ModelEntry[]
  /** Durable when it resolves. @throws Error where it can't be written; then nothing is changed */
  readonly write: (entries: readonly ModelEntry[]) => Promise<void>
}

/** Runs work alone on the base models of a data folder, also beside a cloud that runs in it. @throws Error where another one is at work for long */
export async function changeModels<T>(dataDir: string, work: (models: LockedModels) => Promise<T>): Promise<T> {
  await makeFolder(modelsFolder(dataDir))
  const lock = await lockWithin(modelsFolder(dataDir), WAIT_MS)
  try {
    await sweep(incomingFolder(dataDir))
    const write = async (entries: readonly ModelEntry[]): Promise<void> =>
      writeFileAtomically(join(dataDir, MODELS_FILE), modelsFileText(entries))
    return await work({ entries: await readModelsFile(dataDir), write })
  } finally {
    await lock.release()
  }
}

async function lockWithin(folder: string, waitMs: number): ReturnType<typeof lockFolder> {
  const end = performance.now() + waitMs
  for (;;) {
    try {
      return await lockFolder(folder)
    } catch (error) {
      if (!(error instanceof FolderInUse)) throw error
      if (performance.now() > end)
        throw new Error('Another ./ownkey adds or removes a base model of this cloud now. Try again when it is done.', {
          cause: error,
        })
    }
    await sleep(ASK_MS)
  }
}

/** What a killed process left, except for downloads of the last days, which go on. */
async function sweep(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    const path = join(folder, name)
    const isPart = name.endsWith(PART) || name.endsWith(`${PART}.json`)
    const changed = isPart ? ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0) : 0
    if (Date.now() - changed > KEPT_MS) await rm(path, { recursive: true, force: true })
  }
}

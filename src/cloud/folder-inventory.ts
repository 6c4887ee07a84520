import { lstat, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RESTORING } from '../folder/state-files.ts'
import { plainError } from '../base/plain-error.ts'
import { hasCode, writeFileAtomically } from '../store/atomic-file.ts'
import { INCOMING, LOST_AND_FOUND } from '../store/blob-files.ts'

/** A marker in a folder, from before its first file until its first start has ended. What is missing meanwhile was never there. */
const FIRST_START = 'first-start'

export interface FolderInventory {
  /** Whether the folder is new, or has only what a first start that was broken off left. */
  readonly isNew: boolean
  /** Call it when the first start has ended. From then on everything must be there. */
  started(): Promise<void>
}

/**
 * Checks a locked data folder before anything is made in it, so that nothing new is made beside what exists.
 * @throws Error that names what is missing and says what to do
 */
export async function takeInventory(dataDir: string, hasRootKey: boolean): Promise<FolderInventory> {
  // A file in a folder's place hides what would be in it, so this is looked at first.
  await foldersIn(join(dataDir, 'ca'))
  const [records, log, rootKey, head, caKey, begun] = await Promise.all(
    ['records.db', 'records.db-wal', 'root.key', 'records.head', 'ca/ca-key.pem', FIRST_START].map(name =>
      sizeOf(join(dataDir, name)),
    ),
  )
  if (records === undefined && (await foldersIn(dataDir)).includes(RESTORING))
    throw new Error(
      `Into ${dataDir} a backup was being restored, and that was broken off: its records are not in their place. Empty the folder, then restore it again. Nothing was changed.`,
    )
  await mustBeNoLink(join(dataDir, 'records.db'))
  const blobs = await countBlobs(join(dataDir, 'blobs'))
  const marker = join(dataDir, FIRST_START)
  const started = (): Promise<void> => rm(marker, { force: true })
  if (begun !== undefined && blobs === 0) return { isNew: true, started }
  const hasRecords = (records ?? 0) + (records === undefined ? 0 : (log ?? 0)) > 0
  const traces = [
    ...(rootKey === undefined ? [] : ['root.key']),
    ...(head === undefined ? [] : ['records.head']),
    ...(caKey === undefined ? [] : ['a CA']),
    ...(blobs === 0 ? [] : [blobs === 1 ? '1 blob' : `${blobs} blobs`]),
  ]
  if (!hasRecords && (traces.length > 0 || records !== undefined)) throw withoutRecords(dataDir, traces, records)
  if (!hasRecords) {
    await writeFileAtomically(marker, 'The first start in this folder has not ended yet.\n')
    return { isNew: true, started }
  }
  if (rootKey === undefined && !hasRootKey)
    throw new Error(
      `${join(dataDir, 'root.key')} is missing: restore it from its backup, or set OWNKEY_ROOT_KEY. Without it, no data of this folder can be opened. Nothing was changed.`,
    )
  return { isNew: false, started }
}

/** SQLite would keep its log beside the link's target, apart from the head. */
async function mustBeNoLink(database: string): Promise<void> {
  const found = await lstat(database).catch(() => undefined)
  if (found?.isSymbolicLink() === true)
    throw new Error(
      `${database} is a link: its log and its head must lie beside it. Put the file itself here, or make the whole data folder a link. Nothing was changed.`,
    )
}

function withoutRecords(dataDir: string, traces: readonly string[], records: number | undefined): Error {
  const what = records === undefined ? 'missing' : 'empty'
  const holds = traces.length === 0 ? '' : `, though there is ${traces.join(', ')}`
  return new Error(
    `${join(dataDir, 'records.db')} is ${what}${holds}: without it, nothing of what lies here can be opened or told apart. Nothing was changed or deleted. Put records.db, records.db-wal (if there was one) and records.head back, from where this folder was copied or from its newest backup. For a new cloud, name another folder.`,
  )
}

/** Undefined where the file does not exist. @throws Error where a folder is in its place */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    if (found.isFile()) return found.size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw new Error(plainError(error), { cause: error })
  }
  throw new Error(`${path} is a folder where a file must be. Put the file back from a backup. Nothing was changed.`)
}

async function countBlobs(folder: string): Promise<number> {
  let count = 0
  for (const entry of await foldersIn(folder)) {
    if (entry !== INCOMING && entry !== LOST_AND_FOUND) count += (await readdir(join(folder, entry))).length
  }
  return count
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).filter(entry => entry.isDirectory()).map(({ name }) => name)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    if (hasCode(error, 'ENOTDIR')) throw new Error(`${folder} is a file where a folder must be.`, { cause: error })
    throw new Error(plainError(error), { cause: error })
  }
}

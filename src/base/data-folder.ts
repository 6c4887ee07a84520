import { lstat, readdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolder } from './make-folder.ts'
import { plainError } from './plain-error.ts'
import { syncFolders } from './sync-names.ts'
import { shellWord } from './terminal.ts'

/** A folder that has one of these files holds a cloud. One is enough: the root key may come from the environment. */
const MARKS = ['records.db', 'root.key', 'blobs']
/** What is left by a start that was broken off at once, or put there by somebody who prepares a folder. */
const HARMLESS =
  /^(lock|lock\.pid|service\.log|first-start|ca|blobs|diagnostics|models|models\.yaml|lost\+found|\.gitkeep|\.gitignore|\.DS_Store|.*\.tmp)$/

/** How a cloud is started in the folder, as a line for a shell. */
export function startCommand(dataDir: string): string {
  return `./ownkey start --data-dir ${shellWord(dataDir)}`
}

/**
 * Makes the folder of a cloud, mode 0700, or takes one that is empty or a cloud's.
 * @throws Error that says what to do when it is a file, holds something else, or this user may not use it
 */
export async function openDataFolder(dataDir: string): Promise<void> {
  const isThere = await isFolder(dataDir)
  if (!isThere) {
    try {
      const made = await makeFolder(dataDir)
      // Without a durable name of its own, nothing in the folder is durable.
      if (made !== undefined) await syncFolders(dirname(dataDir), dirname(made))
    } catch (error) {
      throw new Error(`The folder ${dataDir} can't be made: ${whyNotMade(error)}`, { cause: error })
    }
    return
  }
  const names = await namesIn(dataDir)
  const others = names.filter(name => !HARMLESS.test(name))
  if (others.length === 0 || MARKS.some(mark => names.includes(mark))) return
  const shown = others.toSorted().slice(0, 3).join(', ')
  throw new Error(
    `${dataDir} holds something else (${shown}${others.length > 3 ? ', …' : ''}). Name a folder that is empty or not there yet.`,
  )
}

/** @throws Error that says what to do when the folder is not that of a cloud, or this user may not read it */
export async function checkDataFolder(dataDir: string): Promise<void> {
  if (!(await isFolder(dataDir))) {
    const isLink = (await lstat(dataDir).catch(() => undefined))?.isSymbolicLink() === true
    if (isLink) throw new Error(`${dataDir} is a link that leads nowhere.`)
    throw new Error(
      `There is no folder ${dataDir}. Check --data-dir, or start a cloud in it:\n${startCommand(dataDir)}`,
    )
  }
  const names = await namesIn(dataDir)
  if (!names.includes('records.db'))
    throw new Error(`${dataDir} is not the data folder of a cloud: it has no records.db.`)
  if (!names.includes('root.key') && process.env['OWNKEY_ROOT_KEY'] === undefined)
    throw new Error(`${join(dataDir, 'root.key')} is missing: restore it from its backup, or set OWNKEY_ROOT_KEY.`)
}

/** The message for a command that needs a running cloud, where none runs. */
export function stoppedCloud(dataDir: string): Error {
  return new Error(
    `No cloud runs in ${dataDir}. Start it:\n${startCommand(dataDir)}\n` +
      'Without it work: audit, verify, backup, prove --deleted ID, trust, doctor.',
  )
}

/** False when nothing is there. @throws Error when it is a file, or this user may not know */
export async function isFolder(dataDir: string): Promise<boolean> {
  try {
    if ((await stat(dataDir)).isDirectory()) return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw unusable(dataDir, error)
  }
  throw new Error(`${dataDir} is a file where a folder must be.`)
}

async function namesIn(dataDir: string): Promise<string[]> {
  return readdir(dataDir).catch((error: unknown) => {
    throw unusable(dataDir, error)
  })
}

/** The folder above decides who may create a folder in it. */
function whyNotMade(error: unknown): string {
  const { code, path } = error as NodeJS.ErrnoException
  return (code === 'EACCES' || code === 'EPERM') && path !== undefined
    ? `this user may not write to ${dirname(resolve(path))}.`
    : plainError(error)
}

function unusable(dataDir: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException
  const why =
    code === 'EACCES' || code === 'EPERM'
      ? `This user may not look into ${dataDir}: run this as its owner, or name another folder.`
      : plainError(error)
  return new Error(why, { cause: error })
}

import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { writeFileAtomically } from './atomic-file.ts'
import { storageTrouble } from './storage-errors.ts'

export interface FolderLock {
  release(): Promise<void>
}

/** Another process has the folder. */
export class FolderInUse extends Error {}

/**
 * Makes this process the only one on a folder. The lock is the operating system's, held on `<folder>/lock` through SQLite. So a killed
 * process leaves nothing to clean up, and of two that start at once only one wins. `<folder>/lock.pid` only tells people who has it.
 * @throws FolderInUse that names the folder and the other process; Error where this user may not lock it
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const holder = join(folder, 'lock.pid')
  const path = join(folder, 'lock')
  const lock = openLock(path)
  try {
    // With the journal in memory nothing is ever written beside the lock file.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    // POSIX locks belong to the process: never open and close this file directly, which would drop the lock.
    await chmod(path, 0o600)
    // It only tells people, so a full disk must not prevent reading the folder or making room.
    await writeFileAtomically(holder, `${process.pid}\n`).catch((error: unknown) => {
      if (storageTrouble(error) !== 'full') throw error
    })
  } catch (error) {
    lock.close()
    if (!isBusy(error)) throw unlockable(path, error)
    throw new FolderInUse(
      `The folder ${folder} is in use by another OwnKey${await describe(holder)}. Stop that one first.`,
      { cause: error },
    )
  }
  return {
    async release() {
      if (lock.isOpen) lock.close()
    },
  }
}

function openLock(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 })
  } catch (error) {
    throw unlockable(path, error)
  }
}

/** SQLite only says that it could not open or write the file. */
function unlockable(path: string, error: unknown): Error {
  if (!(error instanceof Error) || !('errcode' in error)) return error as Error
  return new Error(
    `The file ${path} can't be locked: ${error.message}. This user must own the folder and be able to write to it.`,
    { cause: error },
  )
}

function isBusy(error: unknown): boolean {
  // https://www.sqlite.org/rescode.html#busy
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5
}

async function describe(holder: string): Promise<string> {
  const text = await readFile(holder, 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isInteger(pid) ? `, process ${pid}` : ''
}

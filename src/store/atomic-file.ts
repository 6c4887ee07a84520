import { randomUUID } from 'node:crypto'
import { lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { failedSync } from '../base/failed-sync.ts'
import { syncNames } from '../base/sync-names.ts'

/** Names of temporary files that a killed process leaves. */
const LEFTOVER = /^.+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/u

/**
 * Replaces a file as a whole, durable when the promise resolves: a reader, and a start after a power cut, sees the old bytes or the new.
 * `mode` is the new file's, 0600 unless said otherwise.
 */
export async function writeFileAtomically(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  await replaceFile(path, data, mode)
  await syncFolder(dirname(path))
}

/** The same outside of the data folder, on a disk that may fail without loss of our data. @throws Error; the process goes on */
export async function writeOutsideFile(path: string, data: string | Uint8Array): Promise<void> {
  await replaceFile(path, data, 0o600)
  await syncNames(dirname(path))
}

async function replaceFile(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(data)
      // Not in `open`, where the umask would remove bits.
      await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}

/** Removes half-written files of a killed process from one of our folders. */
export async function sweepLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  for (const name of names)
    if (LEFTOVER.test(name)) await rm(join(folder, name), { force: true }).catch(() => undefined)
}

/**
 * Makes the names in a folder durable, after creating, renaming or removing one. Where that fails, other names in it may be lost too, and
 * no later sync would tell, so the process ends (failed-sync.ts). @throws Error
 */
export async function syncFolder(path: string): Promise<void> {
  await syncNames(path, error => failedSync(`the names in ${path}`, error))
}

/** Whether a failed system call gave this code, such as ENOENT. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Whether anything has this name, also a link that leads nowhere. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

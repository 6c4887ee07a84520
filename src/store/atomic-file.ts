import { randomUUID } from 'node:crypto'
import { lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { failedSync } from '../failed-sync.ts'

/** What file systems answer that know no syncs of folders (some in user space or over a network): nothing failed, names are as safe as they get. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/**
 * Replaces a file as a whole, durable when the promise resolves: a reader, and a start after a power cut, sees the old bytes or the new.
 * `mode` is the new file's, 0600 unless said otherwise.
 */
export async function writeFileAtomically(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(data)
      // Not in `open`, where the umask would take bits away.
      await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/**
 * Makes the names in a folder durable: after creating, renaming or removing one. Where that fails, other names in it may be lost with
 * this one, and nobody would be told again: the process ends (failed-sync.ts). @throws Error
 */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync().catch((error: unknown) => {
      if (NO_FOLDER_SYNC.some(code => hasCode(error, code))) return
      throw failedSync(`the names in ${path}`, error)
    })
  } finally {
    await folder.close()
  }
}

/** Whether a failed system call gave this code, such as ENOENT. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Whether anything has this name, a link that leads nowhere included. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

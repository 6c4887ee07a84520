import { chmod, lstat } from 'node:fs/promises'
import { join } from 'node:path'

/** What in a cloud's folder only its owner may read, which is everything except certificates. */
const PRIVATE = [
  '.',
  'root.key',
  'records.db',
  'records.db-wal',
  'records.db-shm',
  'records.head',
  'records.db-reserve',
  'endpoints.json',
  'seed-secrets.json',
  'blobs',
  'ca',
  'ca/ca-key.pem',
  'ca/server-key.pem',
]

/**
 * Closes the folder to other users (0700, files 0600), since a copy or a restored backup may be open to them.
 * @param closed called with each path and the mode it had, octal
 * @throws Error where that is not possible, so that the folder's owner has to do it
 */
export async function closeToOthers(folder: string, closed: (path: string, mode: string) => void): Promise<void> {
  for (const name of PRIVATE) {
    const path = join(folder, name)
    const found = await lstat(path).catch(() => undefined)
    // For a link only the mode of its target counts.
    if (found === undefined || found.isSymbolicLink() || (found.mode & 0o077) === 0) continue
    const mode = (found.mode & 0o777).toString(8)
    const wanted = found.isDirectory() ? 0o700 : 0o600
    await chmod(path, wanted).catch((error: unknown) => {
      throw new Error(
        `${path} is open to other users (mode ${mode}), and can't be closed: its owner runs chmod ${wanted.toString(8)} on it.`,
        { cause: error },
      )
    })
    closed(path, mode)
  }
}

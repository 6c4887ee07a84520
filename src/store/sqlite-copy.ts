import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { backup, type DatabaseSync } from 'node:sqlite'
import { syncFolder } from './atomic-file.ts'

/** Pages that are copied before others may use the database: about 1 MB. */
const PAGES = 256

/**
 * SQLite's online backup (https://www.sqlite.org/backup.html) into a new file, mode 0600: one state between two transactions, as of the
 * moment at which it ends. Commits of this connection meanwhile are in it.
 */
export async function copyDatabase(database: DatabaseSync, path: string): Promise<void> {
  // SQLite would make it readable to others.
  const file = await open(path, 'wx', 0o600)
  await file.close()
  await backup(database, path, { rate: PAGES })
  await syncFolder(dirname(path))
}

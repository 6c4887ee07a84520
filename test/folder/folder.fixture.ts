import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export interface FoundFile {
  readonly path: string
  /** Without the kind of file. */
  readonly mode: number
  readonly ino: number
  readonly isFolder: boolean
  /** Empty for a folder. */
  readonly bytes: Buffer
}

/** Everything below a folder, itself included. */
export async function filesBelow(folder: string): Promise<FoundFile[]> {
  const names = ['', ...(await readdir(folder, { recursive: true }))].toSorted()
  return Promise.all(
    names.map(async name => {
      const path = join(folder, name)
      const { mode, ino } = await stat(path)
      const isFolder = (mode & 0o170000) === 0o040000
      return { path, mode: mode & 0o777, ino, isFolder, bytes: isFolder ? Buffer.alloc(0) : await readFile(path) }
    }),
  )
}

/** Changes by somebody without a key to the records of a stopped cloud. */
export function lonelyRecords(dataDir: string, use: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(join(dataDir, 'records.db'))
  try {
    use(database)
  } finally {
    database.close()
  }
}

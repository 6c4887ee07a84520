import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export interface Row {
  readonly collection: string
  readonly id: string
  readonly version: number
  // Rows of every shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly value: any
}

/** A copy of a data folder, as a thief or a backup has it; `remove` when done. */
export async function copyOf(dataDir: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'ownkey-copy-'))
  await cp(dataDir, path, { recursive: true })
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Every row of a collection, of a folder that no service runs in, or of a copy. */
export function rowsIn(folder: string, collection: string): Row[] {
  return withDatabase(folder, database =>
    database
      .prepare('SELECT id, version, value FROM records WHERE collection = ?')
      .all(collection)
      .map(row => ({
        collection,
        id: String(row['id']),
        version: Number(row['version']),
        value: JSON.parse(String(row['value'])),
      })),
  )
}

/** What somebody does who can write to the database: puts rows there as they are given. */
export function writeRows(folder: string, rows: readonly Row[]): void {
  withDatabase(folder, database => {
    const write = database.prepare(
      'INSERT OR REPLACE INTO records (collection, id, version, value) VALUES (?, ?, ?, ?)',
    )
    for (const { collection, id, version, value } of rows) write.run(collection, id, version, JSON.stringify(value))
  })
}

export function removeRow(folder: string, collection: string, id: string): void {
  withDatabase(folder, database => {
    database.prepare('DELETE FROM records WHERE collection = ? AND id = ?').run(collection, id)
  })
}

function withDatabase<T>(folder: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(folder, 'records.db'))
  try {
    return use(database)
  } finally {
    database.close()
  }
}

/** Base64 of everything in the folder that is wrapped: data keys, service-managed keys, blob keys. A service may run in it. */
export async function wrappedIn(dataDir: string): Promise<string[]> {
  const path = await mkdtemp(join(tmpdir(), 'ownkey-database-'))
  try {
    for (let attempt = 1; ; attempt += 1) {
      for (const name of ['records.db', 'records.db-wal']) await cp(join(dataDir, name), join(path, name))
      try {
        return [
          ...rowsIn(path, 'encryption.data-keys').map(({ value }) => String(value.wrapped)),
          ...rowsIn(path, 'encryption.service-keys').map(({ value }) => String(value.sealed)),
          ...rowsIn(path, 'encryption.blobs').map(({ value }) => String(value.wrappedKey)),
        ]
      } catch (error) {
        // The service wrote between the two: what was copied is no database.
        if (attempt === 10) throw error
      }
    }
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

/** Which of these base64 texts stand in any file below the folder, as text or as the bytes that they mean. */
export async function foundIn(folder: string, texts: readonly string[]): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const found = new Set<string>()
  for (const entry of entries.filter(one => one.isFile())) {
    // The running service may have renamed or removed it.
    const content = await readFile(join(entry.parentPath, entry.name)).catch(() => Buffer.alloc(0))
    for (const text of texts)
      if (content.includes(text) || content.includes(Buffer.from(text, 'base64'))) found.add(`${entry.name}: ${text}`)
  }
  return [...found]
}

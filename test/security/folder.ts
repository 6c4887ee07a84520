import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openRootKeys } from '../../src/encryption/root-key.ts'
import { systemEnv } from '../../src/base/env.ts'
import { openFolderRecords } from '../../src/folder/folder-records.ts'
import { collection, put, remove, type Change } from '../../src/store/records.ts'

export interface Row {
  readonly collection: string
  readonly id: string
  readonly version: number
  // Rows of every shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly value: any
  readonly mac: Uint8Array
}

/** A copy of a data folder, as a thief or a backup has it; `remove` when done. */
export async function copyOf(dataDir: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'ownkey-copy-'))
  await cp(dataDir, path, { recursive: true })
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Every row of a collection, in the folder of a stopped service or a copy. */
export function rowsIn(folder: string, from: string): Row[] {
  return withDatabase(folder, database =>
    database
      .prepare('SELECT id, version, value, mac FROM records WHERE collection = ?')
      .all(from)
      .map(row => ({
        collection: from,
        id: String(row['id']),
        version: Number(row['version']),
        value: JSON.parse(String(row['value'])),
        mac: row['mac'] as Uint8Array,
      })),
  )
}

/**
 * Puts rows with valid MACs into the database, as somebody who has root.key or a bug of the service would. Rows without a valid MAC are
 * refused before anything reads them (record-macs.test.ts).
 */
export function writeRows(folder: string, rows: readonly Row[]): Promise<void> {
  return commitTo(
    folder,
    rows.map(row => put(collection(row.collection), row.id, row.value)),
  )
}

/** As `writeRows`, for the removal of a row. */
export function removeRow(folder: string, from: string, id: string): Promise<void> {
  return commitTo(folder, [remove(collection(from), id)])
}

async function commitTo(folder: string, changes: readonly Change[]): Promise<void> {
  const fromEnvironment = undefined
  const keys = await openRootKeys({ file: join(folder, 'root.key'), fromEnvironment, makeWith: systemEnv })
  const records = await openFolderRecords(folder, keys)
  await records.commit(changes)
  await records.close()
}

/** Replaces a row, as somebody who can write to the database but has no key would. */
export function forgeRow(folder: string, row: Row): void {
  withDatabase(folder, database => {
    const { collection: name, id, version, value, mac } = row
    const write = 'INSERT OR REPLACE INTO records (collection, id, version, value, mac) VALUES (?, ?, ?, ?, ?)'
    database.prepare(write).run(name, id, version, JSON.stringify(value), mac)
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

/** Base64 of all wrapped keys in the folder: data keys, service-managed keys, blob keys. A service may run in it. */
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
        // The service wrote between the two copies, so together they are not a database.
        if (attempt === 10) throw error
      }
    }
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

/** Which of these base64 texts are in any file below the folder, as text or as bytes. */
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

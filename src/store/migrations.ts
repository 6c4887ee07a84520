import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { RecordAuthenticator } from './record-mac.ts'
import { copyDatabase } from './sqlite-copy.ts'
import { migrateFromSchema1 } from './sqlite-schema.ts'

/** One step forward in the format of the records. There is no step back, so the old database is copied first. */
interface Migration {
  /** The schema that the database has afterwards. */
  readonly to: number
  /** Runs in a transaction that also writes that number, so it happens as a whole or not at all, and the next start goes on from there. */
  readonly run: (database: DatabaseSync, authenticator: RecordAuthenticator | undefined) => void
}

/** In order, without gaps, to the present schema. */
export const MIGRATIONS: readonly Migration[] = [
  { to: 2, run: migrateFromSchema1 },
  // Opening makes the file beside the database. From this number on it must exist.
  { to: 3, run: () => {} },
]

/** Copies a database of an older schema, then brings it to the present one. @throws Error with the database as it was, or some steps on */
export async function migrate(
  database: DatabaseSync,
  { path, from, authenticator }: { path: string; from: number; authenticator: RecordAuthenticator | undefined },
): Promise<void> {
  const steps = MIGRATIONS.filter(({ to }) => to > from)
  if (steps.length === 0) return
  const copy = `${path}.schema-${from}`
  await rm(copy, { force: true })
  await copyDatabase(database, copy)
  for (const { to, run } of steps) {
    database.exec('BEGIN IMMEDIATE')
    try {
      run(database, authenticator)
      database.exec(`PRAGMA user_version = ${to}`)
      database.exec('COMMIT')
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }
}

/**
 * Removes copies from before a migration, once the migrated database was found whole, since keys that are destroyed from now on must not
 * stay in any file of the folder.
 */
export async function dropFormer(path: string): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)]
  for (const found of await readdir(folder))
    if (/^\.schema-\d+$/.test(found.replace(name, ''))) await rm(join(folder, found), { force: true })
}

import { chmod, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { plainError } from '../base/plain-error.ts'
import { hasCode, syncFolder } from './atomic-file.ts'
import type { RecordAuthenticator } from './record-mac.ts'
import { isFull } from './disk-reserve.ts'
import { migrate } from './migrations.ts'
import { checkTables, createTables, schemaVersion } from './sqlite-schema.ts'
import { maximumPages } from './sqlite-scrub.ts'

/** 'OWNK', which marks our databases. */
const applicationId = 0x4f57_4e4b

/**
 * Opens or creates our database, mode 0600, exclusively until it is closed or the process ends.
 * @throws Error that says what to do: in use, not a database, another program's, written by a newer OwnKey
 */
export async function openDatabase(path: string, authenticator?: RecordAuthenticator): Promise<DatabaseSync> {
  await createEmpty(path)
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    prepareDatabase(database)
    const from = pragma(database, 'user_version')
    if (from === 0) makeDatabase(database, authenticator)
    else await migrate(database, { path, from, authenticator })
    checkTables(database)
    return database
  } catch (error) {
    database.close()
    throw openingFailure(path, error)
  }
}

/** Says which database can't be opened, why, and what to do. */
export function openingFailure(path: string, error: unknown): Error {
  // For a file beside it the error already names the file.
  if (error instanceof Error && 'syscall' in error) return new Error(plainError(error), { cause: error })
  return new Error(`The record database ${path} can't be opened: ${reasonOf(error, path)}`, { cause: error })
}

/** SQLite gives its log the mode of the database file, so that mode must be right before SQLite opens it. */
async function createEmpty(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    // Closing a file drops the locks that SQLite holds on it for this process, so only a new file is opened and closed here.
    const file = await open(path, 'ax', 0o600)
    await file.close()
    await syncFolder(dirname(path))
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
  await chmod(path, 0o600)
}

function prepareDatabase(database: DatabaseSync): void {
  // The scrubber writes to the file directly, so the lock is exclusive. That also saves the shared-memory file. It works only before the first access.
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  checkOwner(database)
  database.exec('PRAGMA journal_mode = WAL')
  // NORMAL is FULL without the sync after each commit, which we do ourselves (log-sync.ts), off the main thread, before we acknowledge.
  database.exec('PRAGMA synchronous = NORMAL')
  // Only on macOS, where a plain sync does not reach the disk; Node.js syncs in the same way there.
  database.exec('PRAGMA checkpoint_fullfsync = ON')
  database.exec('PRAGMA secure_delete = ON')
  database.exec('PRAGMA temp_store = MEMORY')
  database.exec('PRAGMA mmap_size = 0')
  database.exec(`PRAGMA max_page_count = ${maximumPages}`)
  // Each checkpoint has pages to scrub, so we make them ourselves.
  database.exec('PRAGMA wal_autocheckpoint = 0')
}

function makeDatabase(database: DatabaseSync, authenticator: RecordAuthenticator | undefined): void {
  database.exec('BEGIN IMMEDIATE')
  createTables(database, authenticator)
  database.exec(`PRAGMA application_id = ${applicationId}`)
  database.exec(`PRAGMA user_version = ${schemaVersion}`)
  database.exec('COMMIT')
}

/** @throws Error that says what to do, where the database is another program's or a newer OwnKey's */
export function checkOwner(database: DatabaseSync): void {
  const version = pragma(database, 'user_version')
  if (pragma(database, 'application_id') !== applicationId) {
    if (version === 0 && pragma(database, 'schema_version') === 0) return
    throw new Error("it is another program's database. Choose another data folder, or move that file away.")
  }
  if (version > schemaVersion) {
    throw new Error(
      `it was written by a newer OwnKey (schema ${version}, this one knows ${schemaVersion}). Start the newer OwnKey, or restore a backup made with this one.`,
    )
  }
  if (pragma(database, 'auto_vacuum') !== 0) throw new Error('auto_vacuum was switched on in it. Restore a backup.')
}

/** The numeric result of a pragma. */
export function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0])
}

function reasonOf(error: unknown, path: string): string {
  if (!(error instanceof Error)) return String(error)
  // https://www.sqlite.org/rescode.html
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : 0
  if (code === 5) return 'another process is using it. Stop that process first.'
  if (code === 14 || code === 8 || code === 3)
    return 'this user may not open or write it or its log beside it (-wal). Check their owners and modes (ls -l).'
  // The index of the log is mapped into memory, and where it does not fit SQLite speaks of an I/O error.
  if (code === 13 || (code === 10 && isFull(path))) return 'the disk is full. Make room on it first.'
  if (code === 10) return `the disk does not work as it should (${error.message}). Look after it, then start again.`
  if (code === 26 || code === 11) return `${error.message}. Restore it from a backup.`
  return error.message
}

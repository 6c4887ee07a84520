import { rmSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { hasCode } from './atomic-file.ts'
import { headFileOf, readHeadFile } from './head-file.ts'
import type { RecordAuthenticator } from './record-mac.ts'
import { RecordsLost, type RecordsHead } from './records.ts'
import { checkOwner, pragma } from './sqlite-database.ts'
import { isOfAnotherKey } from './sqlite-scan.ts'
import { checkTables, firstSchemaWithHeadFile, readHeads, schemaVersion } from './sqlite-schema.ts'
import { openSet } from './sqlite-set.ts'
import { lookAtWal } from './wal-damage.ts'

export interface Inspection {
  /** Acknowledged commits are missing. Opening the database for writing would remove the traces. */
  readonly fault?: RecordsLost
  /** The counter of the last acknowledged state, where it is known. */
  readonly counter: number
  /** The current head, which an older OwnKey kept in the database alone. After the migration it must be beside the database. */
  readonly owed?: RecordsHead
}

/**
 * Compares the database, read only, with the head beside it. SQLite uses a log up to the first frame that does not fit and silently drops
 * the rest. A database without its log, or of last week, looks as good as any.
 * @throws Error when it is not a database of this service, is of a newer OwnKey, or of another key
 */
export function inspectDatabase(path: string, authenticator: RecordAuthenticator): Inspection {
  const headFile = headFileOf(path)
  let acknowledged: RecordsHead | undefined
  try {
    acknowledged = readHeadFile(headFile)
  } catch (error) {
    if (error instanceof RecordsLost) return { counter: 0, fault: error }
    throw error
  }
  const counter = acknowledged?.counter ?? 0
  const isEmpty = sizeOf(path) === 0 && (sizeOf(`${path}-wal`) ?? 0) === 0
  if (acknowledged !== undefined && (isEmpty || sizeOf(path) === undefined))
    return {
      counter,
      fault: new RecordsLost(
        `${path} is ${isEmpty ? 'empty' : 'missing'}, but ${basename(headFile)} says that it held ${counter} changes.`,
      ),
    }
  if (isEmpty || sizeOf(path) === undefined) return { counter: 0 }
  return inspectPresent(path, acknowledged, authenticator)
}

function inspectPresent(
  path: string,
  acknowledged: RecordsHead | undefined,
  authenticator: RecordAuthenticator,
): Inspection {
  const present = readPresent(path, authenticator)
  const headFile = basename(headFileOf(path))
  const stored = present.head?.counter ?? 0
  const counter = Math.max(acknowledged?.counter ?? 0, stored)
  if (acknowledged === undefined) {
    // Before the first commit nothing can be lost, and a start that was broken off leaves a database without its head file.
    if (present.schema >= firstSchemaWithHeadFile && stored > 0)
      return { counter, fault: new RecordsLost(`${headFile} is missing: nothing says which records were the last.`) }
    const wal = lookAtWal(`${path}-wal`)
    // Only this says whether these frames were acknowledged.
    if (wal?.damagedAt !== undefined && wal.framesBehind > 0)
      return { counter, fault: new RecordsLost(whereDamaged(path)) }
    return { counter, ...(present.head === undefined ? {} : { owed: present.head }) }
  }
  // Heads, or all MACs, that were taken away: opening tells that from a database that never had them.
  if (present.schema > 0 && present.head === undefined) return { counter }
  if (stored > acknowledged.counter) return { counter }
  if (stored === acknowledged.counter && present.head?.tag === acknowledged.tag) return { counter }
  if (stored === acknowledged.counter) {
    const what = `${path} stands at change ${stored} as ${headFile} does, but with other records.`
    return { counter, fault: new RecordsLost(what) }
  }
  const what = `${path} ends at change ${stored}, but ${acknowledged.counter} were acknowledged: ${whereDamaged(path)}`
  return { counter, fault: new RecordsLost(what) }
}

/**
 * Whether a log that is still to be brought into the database fits it. A current log beside an older database has the right head, but
 * bringing it in would spoil both. Undefined also where there is no such log, since then opening changes nothing.
 */
export function inspectLog(path: string, authenticator: RecordAuthenticator): ReturnType<typeof openSet> | undefined {
  if ((sizeOf(`${path}-wal`) ?? 0) === 0 || (sizeOf(path) ?? 0) === 0) return undefined
  const database = openReadOnly(path)
  try {
    if (pragma(database, 'user_version') !== schemaVersion) return undefined
    checkTables(database)
    return openSet(database, { authenticator })
  } finally {
    closeReadOnly(database, path)
  }
}

/** The damage of the log, or the best guess where the log is whole. */
function whereDamaged(path: string): string {
  const log = `${basename(path)}-wal`
  const wal = lookAtWal(`${path}-wal`)
  if (wal === undefined) return `its log ${log} was not copied with it, or an older database was put in its place.`
  if (wal.damagedAt === undefined) return `its log ${log} was cut, or an older database was put in its place.`
  return `its log ${log} is damaged at byte ${wal.damagedAt}, with ${wal.framesBehind} pages behind it that can't be used.`
}

function readPresent(
  path: string,
  authenticator: RecordAuthenticator,
): { readonly schema: number; readonly head: RecordsHead | undefined } {
  const database = openReadOnly(path)
  try {
    checkOwner(database)
    const schema = pragma(database, 'user_version')
    const head = schema < 2 ? undefined : readHeads(database).find(({ collection }) => collection === '')
    if (head !== undefined && isOfAnotherKey(database, authenticator))
      throw new Error(
        'the root key is not the one with which these records were written. Put the right root.key back from its backup, or set OWNKEY_ROOT_KEY to it. Nothing was changed.',
      )
    return { schema, head }
  } finally {
    closeReadOnly(database, path)
  }
}

/** Read-only: neither the database nor its log changes, and the log stays when it is closed. */
export function openReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 })
  database.exec('PRAGMA mmap_size = 0')
  return database
}

/** Also removes what SQLite leaves behind when read-only: the index of the log, and an empty log. Nobody else has the database open. */
export function closeReadOnly(database: DatabaseSync, path: string): void {
  database.close()
  rmSync(`${path}-shm`, { force: true })
  if (sizeOf(`${path}-wal`) === 0) rmSync(`${path}-wal`, { force: true })
}

function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

import { timingSafeEqual } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { auditHeadMessage } from './audit-chain.ts'
import type { RecordAuthenticator } from './record-mac.ts'
import * as queries from './record-queries.ts'
import { RecordSet, type SetHead } from './record-set.ts'
import { RecordsChanged } from './records.ts'

/** 1: records without MACs. 2: each with its MAC, and the sums over them. 3: the last acknowledged head is in a file beside it. */
export const schemaVersion = 3
export const firstSchemaWithHeadFile = 3

/** Makes the tables of a new database. With an authenticator it makes their heads too, which must exist from then on. */
export function createTables(database: DatabaseSync, authenticator: RecordAuthenticator | undefined): void {
  database.exec(queries.createRecords)
  database.exec(queries.createHeads)
  if (authenticator !== undefined) writeHeads(database, new RecordSet(authenticator).heads())
}

/**
 * Gives every record of a database of schema 1 its MAC, once, in the caller's transaction. The MAC of its audit head proves that it never
 * had MACs. The head is written anew in version 2, so that nobody can make a database with MACs look like one without.
 * @throws RecordsChanged when the audit head is not of a folder that never had MACs
 */
export function migrateFromSchema1(database: DatabaseSync, authenticator: RecordAuthenticator | undefined): void {
  if (authenticator === undefined)
    throw new Error('its records carry no MACs yet. Start this OwnKey on its folder once.')
  const head = auditHeadOfSchema1(database, authenticator)
  database.exec('ALTER TABLE records RENAME TO records_of_schema_1')
  database.exec(queries.createRecords)
  database.exec(queries.createHeads)
  const set = new RecordSet(authenticator)
  const insert = database.prepare(queries.upsertRecord)
  for (const row of database.prepare('SELECT collection, id, version, value FROM records_of_schema_1').iterate()) {
    const [collection, id, version] = [String(row['collection']), String(row['id']), Number(row['version'])]
    const json = collection === 'audit-head' && head !== undefined ? head : String(row['value'])
    const tag = authenticator.macOf(collection, id, version, json)
    insert.run(collection, id, version, json, tag)
    set.add(collection, tag)
  }
  database.exec('DROP TABLE records_of_schema_1')
  writeHeads(database, set.heads())
}

/** The audit head in version 2. @throws RecordsChanged */
function auditHeadOfSchema1(database: DatabaseSync, { auditHeadMac }: RecordAuthenticator): string | undefined {
  if (database.prepare('SELECT 1 FROM records LIMIT 1').get() === undefined) return undefined
  const row = database.prepare("SELECT value FROM records WHERE collection = 'audit-head'").get()
  const head = JSON.parse(String(row?.['value'] ?? '{}')) as { entries: number; head: string; mac?: string }
  const present = Buffer.from(String(head.mac), 'hex')
  const expected = auditHeadMac?.(auditHeadMessage(1, head))
  if (expected === undefined || present.length !== expected.length || !timingSafeEqual(present, expected))
    throw new RecordsChanged([], 'their MACs were taken away, or the head of the audit log')
  const { entries, head: hash } = head
  return JSON.stringify({ entries, head: hash, mac: auditHeadMac?.(auditHeadMessage(2, head)).toString('hex') })
}

/** Refuses tables, views, indexes and triggers that are not ours, since they may return something else than was written. */
export function checkTables(database: DatabaseSync): void {
  const found = database.prepare('SELECT sql FROM sqlite_schema ORDER BY name').all()
  const texts = found.map(row => String(row['sql']).toLowerCase())
  if (texts.join('\n') !== [queries.createHeads, queries.createRecords].join('\n').toLowerCase())
    throw new Error('its tables are not those that OwnKey made. Restore the data folder from a backup.')
}

export function readHeads(database: DatabaseSync): SetHead[] {
  return database
    .prepare(queries.selectHeads)
    .all()
    .map(row => ({
      collection: String(row['collection']),
      counter: Number(row['counter']),
      rows: Number(row['rows']),
      tag: String(row['tag']),
    }))
}

/** Replaces all heads, in a transaction of its own. */
export function rewriteHeads(database: DatabaseSync, heads: readonly SetHead[]): void {
  database.exec('BEGIN IMMEDIATE; DELETE FROM heads')
  writeHeads(database, heads)
  database.exec('COMMIT')
}

/** `upsert` is passed by a caller that writes heads with each commit, since preparing it takes longer than running it. */
export function writeHeads(
  database: DatabaseSync,
  heads: readonly SetHead[],
  upsert = database.prepare(queries.upsertHead),
): void {
  for (const { collection, counter, rows, tag } of heads) upsert.run(collection, counter, rows, tag)
}

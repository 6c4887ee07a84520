import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import { dirname } from 'node:path'
import { isFailedSync, outcomeOf } from './commit-outcome.ts'
import { noReserve, openDiskReserve, type DiskReserve } from './disk-reserve.ts'
import type { RecordAuthenticator } from './record-mac.ts'
import * as queries from './record-queries.ts'
import {
  checkName,
  encodeChanges,
  limitOf,
  planCommit,
  rangeOf,
  type EncodedChange,
  type Range,
} from './record-rules.ts'
import type { RecordSet, SetHead } from './record-set.ts'
import { RecordsChanged, RecordTampered, ShredIncomplete, VersionConflict } from './records.ts'
import type { Change, Collection, CommitOptions, ListOptions, RecordStore, Stored } from './records.ts'
import { openDatabase, openingFailure, pragma } from './sqlite-database.ts'
import { openSet } from './open-set.ts'
import { openLogSync, type LogSync } from './log-sync.ts'
import { recordCache } from './record-cache.ts'
import { findTampered, scanSet, tagOf } from './sqlite-scan.ts'
import { rewriteHeads, writeHeads } from './sqlite-schema.ts'
import { openScrubber, type Scrubber } from './sqlite-scrub.ts'
import { CommitUnknown, refusalOf, StorageRefused } from './storage-errors.ts'

/** About the size of log at which SQLite itself makes a checkpoint. */
const checkpointBytes = 4 * 1024 * 1024

interface PendingCommit {
  readonly changes: EncodedChange[]
  readonly shred: boolean
  readonly reserve: CommitOptions['reserve']
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface SqliteOptions {
  /** Absent: records are read without proof, and a database whose records carry MACs can't be written. */
  readonly authenticator?: RecordAuthenticator
  /** Told of each record that is found tampered with, each time. */
  readonly onTampered?: (collection: string, id: string) => void
  /**
   * What to do where the records are not, as a set, those that were written last: `refuse` (the default), `read` without writing, or
   * `accept` them, which is the operator's decision.
   */
  readonly changed?: 'refuse' | 'read' | 'accept'
  /** Keeps room on the disk for what may go on when it is full; see disk-reserve.ts. */
  readonly keepsReserve?: boolean
  /** Told what was accepted. */
  readonly onAccepted?: (changed: RecordsChanged) => void
}

/**
 * Opens or creates the record database, mode 0600, for this process alone. Every acknowledged commit has been synced to disk.
 * @throws Error that says what to do, see openDatabase
 */
export async function openSqliteRecords(path: string, options: SqliteOptions = {}): Promise<RecordStore> {
  const database = await openDatabase(path, options.authenticator)
  const scrubber = openScrubber(path, pragma(database, 'page_size'))
  try {
    return new SqliteRecords(database, scrubber, path, options)
  } catch (error) {
    database.close()
    scrubber.close()
    throw openingFailure(path, error)
  }
}

class SqliteRecords implements RecordStore {
  readonly #database: DatabaseSync
  readonly #scrubber: Scrubber
  readonly #statements = new Map<string, StatementSync>()
  readonly #selectRecord: StatementSync
  readonly #selectVersion: StatementSync
  readonly #upsertRecord: StatementSync
  readonly #deleteRecord: StatementSync
  readonly #upsertHead: StatementSync
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #pageSize: number
  readonly #logState: StatementSync | undefined
  /** Where SQLite can't count them. */
  #estimatedFrames = 0
  readonly #cache = recordCache()
  readonly #log: LogSync
  readonly #path: string
  readonly #reserve: DiskReserve
  readonly #authenticator: RecordAuthenticator | undefined
  readonly #onTampered: SqliteOptions['onTampered']
  readonly #set: RecordSet | undefined
  /** Why nothing may be written: a commit would take what was changed outside for our own. */
  readonly #fault: Error | undefined
  #pending: PendingCommit[] = []
  #closed = false

  constructor(database: DatabaseSync, scrubber: Scrubber, path: string, options: SqliteOptions) {
    this.#database = database
    this.#scrubber = scrubber
    this.#path = path
    this.#selectRecord = database.prepare(queries.selectRecord)
    this.#selectVersion = database.prepare(queries.selectVersion)
    this.#upsertRecord = database.prepare(queries.upsertRecord)
    this.#deleteRecord = database.prepare(queries.deleteRecord)
    this.#upsertHead = database.prepare(queries.upsertHead)
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#pageSize = pragma(database, 'page_size')
    this.#logState = countsFrames(database) ? database.prepare('PRAGMA wal_checkpoint(NOOP)') : undefined
    // A crash may have come between a checkpoint and its scrub.
    this.#checkpoint('TRUNCATE')
    this.#scrubber.scrub()
    this.#log = openLogSync(path)
    this.#reserve = options.keepsReserve ? openDiskReserve(`${path}-reserve`, dirname(path)) : noReserve
    this.#authenticator = options.authenticator
    this.#onTampered = options.onTampered
    const { set, fault } = openSet(database, options)
    this.#set = set
    this.#fault = fault
  }

  async get<T>(from: Collection<T>, id: string): Promise<Stored<T> | undefined> {
    this.#mustBeOpen()
    checkName('collection', from.name)
    checkName('id', id)
    const known = this.#cache.get<T>(from.name, id)
    if (known !== undefined) return known
    const row = this.#selectRecord.get(from.name, id)
    if (row === undefined) return undefined
    if (!this.#isGenuine(from.name, { ...row, id })) throw new RecordTampered(from.name, id)
    return this.#cache.set<T>(from.name, id, Number(row['version']), String(row['value']))
  }

  async list<T>(from: Collection<T>, options: ListOptions = {}): Promise<Stored<T>[]> {
    const range = rangeOf(options)
    const limit = limitOf(options)
    const { reverse = false, onTampered } = options
    const statement = this.#rangeStatement(`list ${reverse}`, range, shape => queries.selectRange(shape, reverse))
    const rows = statement.all(...rangeValues(from, range), limit)
    const found: Stored<T>[] = []
    for (const row of rows) {
      const id = String(row['id'])
      if (this.#isGenuine(from.name, row))
        found.push({ id, version: Number(row['version']), value: JSON.parse(String(row['value'])) as T })
      else if (onTampered === undefined) throw new RecordTampered(from.name, id)
      else onTampered(id)
    }
    const last = rows.at(-1)
    // A page that is not full means the end to its reader: what was left out is made up for.
    if (found.length === rows.length || rows.length < limit || last === undefined) return found
    const rest = { ...options, after: String(last['id']), limit: limit - found.length }
    return [...found, ...(await this.list(from, rest))]
  }

  async count(from: Collection<unknown>, prefix = ''): Promise<number> {
    const range = rangeOf({ prefix })
    const statement = this.#rangeStatement('count', range, queries.countRange)
    return Number(statement.get(...rangeValues(from, range))?.['records'])
  }

  async commit(changes: readonly Change[], options: CommitOptions = {}): Promise<void> {
    const { shred = false, reserve = onlyRemoves(changes) ? 'last' : undefined } = options
    this.#mustBeOpen()
    if (this.#fault !== undefined) throw this.#fault
    if (this.#log.failure !== undefined) throw new StorageRefused('ended', this.#log.failure)
    // What of it was given out is for others.
    if (reserve === undefined && !this.#reserve.isWhole) throw new StorageRefused('full')
    const encoded = encodeChanges(changes)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#pending.push({ changes: encoded, shred, reserve, resolve, reject })
    // Whatever the requests of one turn of the event loop commit goes to disk with one sync.
    if (this.#pending.length === 1) setImmediate(() => this.#flush())
    return promise
  }

  async head() {
    this.#mustBeOpen()
    const head = this.#fault === undefined ? this.#set?.head() : undefined
    if (head !== undefined) await this.#log.durable()
    return head
  }

  async verify() {
    this.#mustBeOpen()
    if (this.#authenticator === undefined || this.#set === undefined) return { records: 0, tampered: [] }
    const found = await findTampered(this.#database, this.#authenticator, () => !this.#closed)
    for (const { collection, id } of found.tampered) this.#onTampered?.(collection, id)
    // In one go: a commit between two parts of it would look like a change from outside.
    const scanned = scanSet(this.#database, this.#authenticator)
    const moved = scanned instanceof RecordsChanged ? scanned : scanned.equals(this.#set)
    const changed = this.#fault instanceof RecordsChanged ? this.#fault : moved
    const head = await this.head()
    return { ...found, ...(head === undefined ? {} : { head }), ...(changed === undefined ? {} : { changed }) }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    try {
      // Of each collection too: where something is changed meanwhile, they say in which.
      if (this.#fault === undefined && this.#set !== undefined) rewriteHeads(this.#database, this.#set.heads())
      // Also makes durable what still waits for its sync.
      this.#checkpoint('TRUNCATE')
    } catch {
      // A full disk: the log stays, nothing is lost, and the next opening does it.
      this.#log.durableNow()
    } finally {
      this.#log.close()
      this.#database.close()
      this.#scrubber.close()
      this.#reserve.close()
    }
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error('The record store is closed.')
  }

  #flush(): void {
    const group = this.#pending
    this.#pending = []
    if (group.length > 0) this.#transact(group)
  }

  /** One transaction for all of them. When the disk refuses it, each is tried alone: a small one may still find room. */
  #transact(group: readonly PendingCommit[]): void {
    const done: PendingCommit[] = []
    const conflicts: [PendingCommit, VersionConflict][] = []
    let heads: SetHead[] | undefined
    try {
      this.#begin.run()
      for (const commit of group) {
        const conflict = this.#write(commit)
        if (conflict) conflicts.push([commit, conflict])
        else done.push(commit)
      }
      const advanced = this.#set?.advance() ?? []
      writeHeads(this.#database, advanced, this.#upsertHead)
      heads = advanced
      this.#commit.run()
      this.#set?.keep()
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      this.#set?.revert()
      this.#refuse(group, outcomeOf(error, heads && { log: `${this.#path}-wal`, heads }))
      return
    }
    for (const [{ reject }, conflict] of conflicts) reject(conflict)
    if (done.length > 0) void this.#acknowledge(done, this.#shredAfter(done))
  }

  /** After a failure that left nothing each is tried alone; ADR 0023: after one of which nobody knows, none is. */
  #refuse(group: readonly PendingCommit[], error: unknown): void {
    const [first, ...others] = group
    if (first === undefined) return
    if (error instanceof CommitUnknown) {
      this.#log.fail(error.cause)
      for (const { reject } of group) reject(error)
    } else if (others.length > 0) for (const commit of group) this.#transact([commit])
    else if (this.#makesRoom(first, error)) this.#transact(group)
    else first.reject(error)
  }

  #makesRoom({ reserve }: Pick<PendingCommit, 'reserve'>, error: unknown): boolean {
    const isFull = error instanceof StorageRefused && error.reason === 'full'
    return isFull && reserve !== undefined && this.#reserve.release(reserve === 'last')
  }

  /** Once they are on disk. Meanwhile reads already see them: a writer hears of them later than others, never earlier. */
  async #acknowledge(done: readonly PendingCommit[], shredFailure: ShredIncomplete | undefined): Promise<void> {
    try {
      await this.#log.durable()
      for (const { shred, resolve, reject } of done) {
        if (shred && shredFailure) reject(shredFailure)
        else resolve()
      }
    } catch (error) {
      for (const { reject } of done) reject(error)
    }
  }

  /** Gives the conflict for which it has written nothing, if there is one. */
  #write({ changes }: PendingCommit): VersionConflict | undefined {
    let plan
    const tags = new Map<string, Uint8Array>()
    try {
      plan = planCommit(changes, (collection, id) => {
        const row = this.#selectVersion.get(collection, id)
        if (row !== undefined) tags.set(`${collection}\0${id}`, tagOf(row['mac']))
        return Number(row?.['version'] ?? 0)
      })
    } catch (error) {
      if (error instanceof VersionConflict) return error
      throw error
    }
    for (const { collection, id, version, json } of plan) {
      const key = `${collection}\0${id}`
      const [former, tag] = [tags.get(key), json === undefined ? undefined : this.#tag(collection, id, version, json)]
      if (former !== undefined) this.#set?.take(collection, former)
      if (tag !== undefined) this.#set?.add(collection, tag)
      if (tag === undefined) tags.delete(key)
      else tags.set(key, tag)
      // A change brings about two pages into the log, besides its value.
      this.#estimatedFrames += 2 + (json?.length ?? 0) / this.#pageSize
      this.#cache.drop(collection, id)
      if (json === undefined || tag === undefined) this.#deleteRecord.run(collection, id)
      else this.#upsertRecord.run(collection, id, version, json, tag)
    }
    return undefined
  }

  #tag(collection: string, id: string, version: number, json: string): Uint8Array {
    return this.#authenticator?.macOf(collection, id, version, json) ?? new Uint8Array(0)
  }

  /** The one place where a record that comes from the database is held against its MAC. */
  #isGenuine(collection: string, row: Readonly<Record<string, SQLOutputValue>>): boolean {
    if (this.#authenticator === undefined) return true
    const [id, version, json] = [String(row['id']), Number(row['version']), String(row['value'])]
    if (this.#authenticator.isGenuine(tagOf(row['mac']), collection, id, version, json)) return true
    this.#onTampered?.(collection, id)
    return false
  }

  #shredAfter(done: readonly PendingCommit[]): ShredIncomplete | undefined {
    try {
      if (done.some(commit => commit.shred)) this.#checkpoint('TRUNCATE')
      else if (this.#framesInLog() * this.#pageSize > checkpointBytes) this.#checkpoint('RESTART')
      return undefined
    } catch (error) {
      if (isFailedSync(error)) this.#log.fail(error)
      const reserve = done.some(commit => commit.reserve === 'last') ? 'last' : undefined
      if (this.#makesRoom({ reserve }, refusalOf(error))) return this.#shredAfter(done)
      // Without shred the log only grows; the next commit tries again.
      return new ShredIncomplete(error instanceof Error ? error.message : String(error))
    }
  }

  /** Frames that no checkpoint has brought into the database: https://www.sqlite.org/pragma.html#pragma_wal_checkpoint */
  #framesInLog(): number {
    if (this.#logState === undefined) return this.#estimatedFrames
    const state = this.#logState.get()
    const [log, checkpointed] = [Number(state?.['log']), Number(state?.['checkpointed'])]
    return log === checkpointed ? 0 : log
  }

  /**
   * Brings the log into the database and scrubs the pages that it wrote. RESTART lets the log be written over from its beginning, which
   * is nearly twice as fast as letting it grow anew; TRUNCATE also erases it.
   */
  #checkpoint(mode: 'RESTART' | 'TRUNCATE'): void {
    const pages = this.#scrubber.pagesInLog()
    if (pragma(this.#database, `wal_checkpoint(${mode})`) !== 0) throw new Error('the log of the database is in use')
    this.#scrubber.scrub(pages)
    // SQLite does not sync the empty log: after a power cut the old one could stand there again.
    if (mode === 'TRUNCATE') this.#scrubber.syncLog()
    this.#estimatedFrames = 0
  }

  #rangeStatement(kind: string, range: Range, compile: (shape: queries.RangeShape) => string): StatementSync {
    this.#mustBeOpen()
    const shape = { lowIncluded: range.lowIncluded, bounded: range.high !== undefined }
    const key = `${kind} ${shape.lowIncluded} ${shape.bounded}`
    let statement = this.#statements.get(key)
    if (!statement) {
      statement = this.#database.prepare(compile(shape))
      this.#statements.set(key, statement)
    }
    return statement
  }
}

/** From 3.51 on; before, SQLite takes NOOP for a checkpoint, which it must not make by itself. */
function countsFrames(database: DatabaseSync): boolean {
  const version = String(Object.values(database.prepare('SELECT sqlite_version()').get() ?? {})[0])
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 3 || (major === 3 && minor >= 51)
}

/** What makes room may use the last of it. */
function onlyRemoves(changes: readonly Change[]): boolean {
  return changes.length > 0 && changes.every(({ value, mustExist }) => value === undefined && mustExist === undefined)
}

function rangeValues(from: Collection<unknown>, { low, high }: Range): string[] {
  checkName('collection', from.name)
  return high === undefined ? [from.name, low] : [from.name, low, high]
}

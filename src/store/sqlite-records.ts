import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { dirname } from 'node:path'
import { CachedFileRecords } from './cached-records.ts'
import { isFailedSync, outcomeOf } from './commit-outcome.ts'
import { CommitQueue } from './commit-queue.ts'
import { noReserve, openDiskReserve, reserveOf, type DiskReserve } from './disk-reserve.ts'
import { headFileOf, openHeadFile, writeHeadFile, type HeadFile } from './head-file.ts'
import { dropFormer } from './migrations.ts'
import type { RecordAuthenticator } from './record-mac.ts'
import * as queries from './record-queries.ts'
import { encodeChanges, onlyRemoves, planCommit, writtenBy, type EncodedChange, type Write } from './record-rules.ts'
import type { RecordSet, SetHead } from './record-set.ts'
import { ShredIncomplete, VersionConflict } from './records.ts'
import type { Change, Collection, CommitOptions, FileRecords, Found, ListOptions, Plan } from './records.ts'
import type { RecordName, RecordsHead, Stored, Transacted, Watch, Written } from './records.ts'
import type { RecordsChanged, RecordsLost } from './records.ts'
import { copyDatabase } from './sqlite-copy.ts'
import { openDatabase, openingFailure, pragma } from './sqlite-database.ts'
import { openLogSync, type LogSync } from './log-sync.ts'
import { inspectDatabase, inspectLog, type Inspection } from './sqlite-inspect.ts'
import { headOf, SqliteReads, type ReadingOptions } from './sqlite-reads.ts'
import { tagOf } from './sqlite-scan.ts'
import { rewriteHeads, writeHeads } from './sqlite-schema.ts'
import { openScrubber, type Scrubber } from './sqlite-scrub.ts'
import { openWritableSet } from './sqlite-set.ts'
import { CommitUnknown, refusalOf, StorageRefused } from './storage-errors.ts'
import { transactOver } from './transact.ts'

/** About the size of the log at which SQLite itself would make a checkpoint. */
const checkpointBytes = 4 * 1024 * 1024

interface PendingCommit {
  readonly changes: EncodedChange[]
  readonly shred: boolean
  readonly reserve: CommitOptions['reserve']
  readonly resolve: (written: readonly Written[]) => void
  readonly reject: (error: unknown) => void
}

/** The commits of a transaction that succeeded, with what they wrote. */
type Done = readonly [commit: PendingCommit, written: readonly Written[]]

export interface SqliteOptions extends ReadingOptions {
  /** What to do where the set of records is not the last acknowledged one. `accept` is the operator's decision. */
  readonly changed?: 'refuse' | 'accept'
  /** Keeps room for commits that must work on a full disk; see disk-reserve.ts. */
  readonly keepsReserve?: boolean
  /** Called with what was accepted. */
  readonly onAccepted?: (changed: RecordsChanged) => void
  /** Called when the head beside the database can't be written. The records themselves are safe. */
  readonly onHeadFailure?: (error: Error) => void
}

/**
 * Opens or creates the record database, mode 0600, for this process alone. Every acknowledged commit has been synced to disk.
 * @throws Error that says what to do, see openDatabase; RecordsLost before a byte of it has changed
 */
export async function openSqliteRecords(path: string, options: SqliteOptions = {}): Promise<FileRecords> {
  const { authenticator } = options
  const { counter, fault } =
    authenticator === undefined ? { counter: 0 } : await inspected(path, authenticator, options)
  const database = await openDatabase(path, authenticator)
  const scrubber = openScrubber(path, pragma(database, 'page_size'))
  try {
    const records = new SqliteRecords(database, scrubber, path, options, counter, fault)
    await records.keepHead(path)
    await dropFormer(path)
    return new CachedFileRecords(records)
  } catch (error) {
    database.close()
    scrubber.close()
    throw openingFailure(path, error)
  }
}

/** Checks before anything changes. @throws Error where the operator has to decide, or the database can't be used */
async function inspected(
  path: string,
  authenticator: RecordAuthenticator,
  { changed = 'refuse' }: SqliteOptions,
): Promise<Inspection> {
  try {
    const found = inspectDatabase(path, authenticator)
    if (found.fault !== undefined && changed === 'refuse') throw found.fault
    const log = inspectLog(path, authenticator)
    if (log?.fault !== undefined && (changed === 'refuse' || !log.isUsable)) throw log.fault
    if (found.owed !== undefined) await writeHeadFile(headFileOf(path), found.owed)
    return found
  } catch (error) {
    throw openingFailure(path, error)
  }
}

class SqliteRecords implements FileRecords {
  readonly properties = { shreds: true, shared: false }
  readonly #database: DatabaseSync
  readonly #scrubber: Scrubber
  readonly #reads: SqliteReads
  readonly #selectVersion: StatementSync
  readonly #upsertRecord: StatementSync
  readonly #deleteRecord: StatementSync
  readonly #upsertHead: StatementSync
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #pageSize: number
  readonly #logState: StatementSync | undefined
  /** Used where SQLite can't count the frames. */
  #estimatedFrames = 0
  readonly #log: LogSync
  readonly #path: string
  readonly #reserve: DiskReserve
  readonly #authenticator: RecordAuthenticator | undefined
  readonly #set: RecordSet | undefined
  /** Why nothing may be written: a commit would make outside changes look like ours. */
  readonly #fault: Error | undefined
  readonly #onHeadFailure: SqliteOptions['onHeadFailure']
  #headFile: HeadFile | undefined
  readonly #queue = new CommitQueue<PendingCommit>(group => this.#transact(group))
  #closed = false

  constructor(
    database: DatabaseSync,
    scrubber: Scrubber,
    path: string,
    options: SqliteOptions,
    counter: number,
    lost: RecordsLost | undefined,
  ) {
    this.#database = database
    this.#scrubber = scrubber
    this.#reads = new SqliteReads(database, options)
    this.#path = path
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
    this.#reserve = options.keepsReserve ? openDiskReserve(reserveOf(path), dirname(path)) : noReserve
    this.#authenticator = options.authenticator
    const { set, fault } = openWritableSet(database, options, counter, lost)
    this.#set = set
    this.#fault = fault
    this.#onHeadFailure = options.onHeadFailure
  }

  /** Makes the head beside the database follow the commits. */
  async keepHead(path: string): Promise<void> {
    const head = headOf(this.#set, this.#fault)
    if (head === undefined) return
    this.#log.durableNow()
    this.#headFile = await openHeadFile(headFileOf(path), head, this.#onHeadFailure)
  }

  async get<T>(from: Collection<T>, id: string): Promise<Stored<T> | undefined> {
    return this.#reads.get(from, id)
  }

  async list<T>(from: Collection<T>, options: ListOptions): Promise<Stored<T>[]> {
    return this.#reads.list(from, options)
  }

  async count(from: Collection<unknown>, prefix?: string): Promise<number> {
    return this.#reads.count(from, prefix)
  }

  async commit(changes: readonly Change[], options: CommitOptions = {}): Promise<readonly Written[]> {
    const { shred = false, reserve = onlyRemoves(changes) ? 'last' : undefined } = options
    this.#reads.mustBeOpen()
    if (this.#fault !== undefined) throw this.#fault
    if (this.#log.failure !== undefined) throw new StorageRefused('ended', this.#log.failure)
    // A part that was released is for other commits.
    if (reserve === undefined && !this.#reserve.isWhole) throw new StorageRefused('full')
    const encoded = encodeChanges(changes)
    const { promise, resolve, reject } = Promise.withResolvers<readonly Written[]>()
    this.#queue.add({ changes: encoded, shred, reserve, resolve, reject })
    return promise
  }

  transact<R>(names: readonly RecordName[], plan: (found: Found) => Plan<R>): Promise<Transacted<R>> {
    return transactOver(this, names, plan)
  }

  /** Not shared, since the folder's lock keeps every other process out. */
  watch(): Watch {
    return { close: () => {} }
  }

  async head() {
    this.#reads.mustBeOpen()
    const head = headOf(this.#set, this.#fault)
    if (head !== undefined) await this.#log.durable()
    return head
  }

  async verify() {
    const found = await this.#reads.verify(this.#set, this.#fault)
    const head = await this.head()
    return { ...found, ...(head === undefined ? {} : { head }) }
  }

  copyTo(path: string): Promise<void> {
    return copyDatabase(this.#database, path)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#queue.flush()
    this.#closed = true
    let isDurable = true
    try {
      // Also the heads of collections, so that a change while it is closed can be located.
      if (this.#fault === undefined && this.#set !== undefined) rewriteHeads(this.#database, this.#set.heads())
      // Also makes durable what still waits for its sync.
      this.#checkpoint('TRUNCATE')
    } catch (error) {
      // On a full disk the log stays and nothing is lost; the next opening does it.
      isDurable = false
      // The next sync would succeed without having written these pages.
      if (isFailedSync(error)) this.#log.fail(error)
      this.#log.durableNow()
      isDurable = true
    } finally {
      const head = isDurable ? headOf(this.#set, this.#fault) : undefined
      if (head !== undefined) this.#headFile?.write(head)
      this.#headFile?.close()
      this.#reads.close()
      this.#log.close()
      this.#database.close()
      this.#scrubber.close()
      this.#reserve.close()
    }
  }

  /** One transaction for all commits. When the disk refuses it, each is tried alone, since a small one may still fit. */
  #transact(group: readonly PendingCommit[]): void {
    const done: Done[] = []
    const conflicts: [PendingCommit, VersionConflict][] = []
    let heads: SetHead[] | undefined
    try {
      this.#begin.run()
      for (const commit of group) {
        const written = this.#write(commit)
        if (written instanceof VersionConflict) conflicts.push([commit, written])
        else done.push([commit, written])
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
    if (done.length > 0) void this.#acknowledge(done, heads[0], this.#shredAfter(done.map(([commit]) => commit)))
  }

  /** After a failure that left nothing, each is tried alone. ADR 0023: after an unknown outcome, none is. */
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

  /** Acknowledges commits once they are on the disk. Reads see them earlier, so a writer learns of them later than others, never earlier. */
  async #acknowledge(
    done: readonly Done[],
    head: RecordsHead | undefined,
    /** Why old bytes could not be erased. */
    notErased: string | undefined,
  ): Promise<void> {
    try {
      await this.#log.durable()
      // Before the writer hears of it, and never before it is on the disk.
      if (head !== undefined) this.#headFile?.write(head)
      for (const [{ shred, resolve, reject }, written] of done) {
        if (shred && notErased !== undefined) reject(new ShredIncomplete(notErased, written))
        else resolve(written)
      }
    } catch (error) {
      for (const [{ reject }] of done) reject(error)
    }
  }

  /** What it wrote, or the conflict because of which it wrote nothing. */
  #write({ changes }: PendingCommit): readonly Written[] | VersionConflict {
    let plan: Write[]
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
      this.#set?.replace(collection, id, former, tag)
      if (tag === undefined) tags.delete(key)
      else tags.set(key, tag)
      // A change adds about two pages to the log, besides its value.
      this.#estimatedFrames += 2 + (json?.length ?? 0) / this.#pageSize
      if (json === undefined || tag === undefined) this.#deleteRecord.run(collection, id)
      else this.#upsertRecord.run(collection, id, version, json, tag)
    }
    return writtenBy(plan)
  }

  #tag(collection: string, id: string, version: number, json: string): Uint8Array {
    return this.#authenticator?.macOf(collection, id, version, json) ?? new Uint8Array(0)
  }

  /** @returns the error, if it failed */
  #shredAfter(done: readonly PendingCommit[]): string | undefined {
    try {
      if (done.some(commit => commit.shred)) this.#checkpoint('TRUNCATE')
      else if (this.#framesInLog() * this.#pageSize > checkpointBytes) this.#checkpoint('RESTART')
      return undefined
    } catch (error) {
      if (isFailedSync(error)) this.#log.fail(error)
      const reserve = done.some(commit => commit.reserve === 'last') ? 'last' : undefined
      if (this.#makesRoom({ reserve }, refusalOf(error))) return this.#shredAfter(done)
      // Without shred the log only grows; the next commit tries again.
      return error instanceof Error ? error.message : String(error)
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
   * Brings the log into the database and scrubs the pages that this wrote. After RESTART the log is written over from its beginning, which
   * is nearly twice as fast as growing it anew. TRUNCATE also erases it.
   */
  #checkpoint(mode: 'RESTART' | 'TRUNCATE'): void {
    const pages = this.#scrubber.pagesInLog()
    if (pragma(this.#database, `wal_checkpoint(${mode})`) !== 0) throw new Error('the log of the database is in use')
    this.#scrubber.scrub(pages)
    // SQLite does not sync the empty log, so after a power cut the old one could be there again.
    if (mode === 'TRUNCATE') this.#scrubber.syncLog()
    this.#estimatedFrames = 0
  }
}

/** Since 3.51. Before, SQLite makes a checkpoint at NOOP, which it must not do by itself. */
function countsFrames(database: DatabaseSync): boolean {
  const version = String(Object.values(database.prepare('SELECT sqlite_version()').get() ?? {})[0])
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 3 || (major === 3 && minor >= 51)
}

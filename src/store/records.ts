import { AzureError } from '../http/errors.ts'

/** A record as stored: the value is JSON; `version` counts its writes from 1. */
export interface Stored<T> {
  readonly id: string
  readonly version: number
  readonly value: T
}

/** Names a set of records of one type; the type parameter exists at compile time only. */
export interface Collection<T> {
  readonly name: string
  readonly type?: T
}

export function collection<T>(name: string): Collection<T> {
  return { name }
}

/**
 * One write of a commit. `ifVersion`: 0 = must not exist, n = must have version n, absent = any.
 * Build them with `put`, `remove`, `mustExist` and `mustNotExist`, which keep value and collection type together.
 */
export interface Change {
  readonly collection: string
  readonly id: string
  /** Absent: the record is removed. */
  readonly value?: unknown
  readonly ifVersion?: number
  /** Writes nothing. The commit fails where the record does not exist (true), or where it does (false). */
  readonly mustExist?: boolean
}

export function recordName(of: Collection<unknown>, id: string): RecordName {
  return { collection: of.name, id }
}

export function put<T>(target: Collection<T>, id: string, value: T, ifVersion?: number): Change {
  return { collection: target.name, id, value, ...(ifVersion === undefined ? {} : { ifVersion }) }
}

export function remove(target: Collection<unknown>, id: string, ifVersion?: number): Change {
  return { collection: target.name, id, ...(ifVersion === undefined ? {} : { ifVersion }) }
}

/** The commit depends on this record (at this version), and does not write it. */
export function mustExist(target: Collection<unknown>, id: string, ifVersion?: number): Change {
  return { collection: target.name, id, mustExist: true, ...(ifVersion === undefined ? {} : { ifVersion }) }
}

/** The commit depends on the absence of this record. */
export function mustNotExist(target: Collection<unknown>, id: string): Change {
  return { collection: target.name, id, mustExist: false }
}

/** A record that a commit wrote, with its new version; 0 where it was removed. */
export interface Written {
  readonly collection: string
  readonly id: string
  readonly version: number
}

/** The record as a commit left it. @throws Error when the commit did not write it */
export function storedAs<T>(written: readonly Written[], from: Collection<T>, id: string, value: T): Stored<T> {
  const version = written.findLast(one => one.collection === from.name && one.id === id)?.version
  if (version === undefined) throw new Error(`The commit wrote no record ${from.name}/${id}.`)
  return { id, version, value }
}

export interface ListOptions {
  /** Only ids that begin with this. */
  readonly prefix?: string
  /** Only ids after (with `reverse`: before) this one; it need not exist. */
  readonly after?: string
  /** The most records of the list. To read all, use `everyRecord`. */
  readonly limit: number
  /** From the last id to the first. */
  readonly reverse?: boolean
  /**
   * Called with each record that was changed outside, which is then left out. For lists over many owners, where one owner's record must not
   * stop the others, and only where a missing record takes something away and gives nothing. Absent: the list fails.
   */
  readonly onTampered?: (id: string) => void
}

/** An `onTampered` for where the store's own report is enough. */
export function leaveOut(): void {}

export interface CommitOptions {
  /**
   * The promise resolves only when the former bytes of records that this commit removed or overwrote are gone from every file of the
   * store. It does not cover freed blocks of a file system or disk.
   */
  readonly shred?: boolean
  /**
   * On a full disk the commit may use the disk's reserve: `last` all of it, for deletions; `small` half of it, for records that
   * are soon removed and for changes that take access away. Absent: the commit is refused then.
   */
  readonly reserve?: 'small' | 'last' | undefined
}

/** Thrown by `commit` when an `ifVersion` or a `mustExist` does not hold. Nothing of that commit was written. */
export class VersionConflict extends Error {
  readonly collection: string
  readonly id: string

  constructor(collectionName: string, id: string) {
    super(`The record ${collectionName}/${id} was changed by someone else in the meantime.`)
    this.name = 'VersionConflict'
    this.collection = collectionName
    this.id = id
  }
}

/** Thrown by a commit with `shred`: its changes are durable, but old bytes may still lie in the store's files. The next commit erases them. */
export class ShredIncomplete extends AzureError {
  readonly reason: string
  /** What the commit wrote, since it succeeded. */
  readonly written: readonly Written[]

  constructor(reason: string, written: readonly Written[]) {
    super(
      'ErasureIncomplete',
      500,
      'What was asked for is done, but the disk of this service did not let it erase the old bytes yet. It does that with its next change, or when it starts again. Its operator finds the reason in its log.',
      // It would find nothing left to do.
      { headers: { 'x-should-retry': 'false' } },
    )
    this.name = 'ShredIncomplete'
    this.reason = reason
    this.written = written
  }

  /** The same for a part of the commit. */
  of(written: readonly Written[]): ShredIncomplete {
    return new ShredIncomplete(this.reason, written)
  }
}

/** A record is not as this service wrote it: its MAC does not fit. Every other record stays readable. */
export class RecordTampered extends AzureError {
  readonly collection: string
  readonly id: string

  constructor(collectionName: string, id: string) {
    super(
      'RecordTampered',
      500,
      "A record that this request needs was changed outside this service. The service's log and `ownkey audit verify` name it; its operator restores the data folder from a backup.",
      // Repeating does not help.
      { headers: { 'x-should-retry': 'false' } },
    )
    this.name = 'RecordTampered'
    this.collection = collectionName
    this.id = id
  }
}

/** The set of records is not the one that this service wrote last: older ones were put back, or some were added or removed. */
export class RecordsChanged extends Error {
  /** In which collections; empty where all of them together are an older state. */
  readonly collections: readonly string[]

  constructor(collections: readonly string[], reason?: string) {
    const where = collections.length === 0 ? '' : `, in ${collections.join(', ')}`
    super(
      `The records were changed outside this service${where}: ${reason ?? 'records were put back, added or taken away'}. Restore the data folder from a backup, and find out who could write to it.`,
    )
    this.name = 'RecordsChanged'
    this.collections = collections
  }
}

/** The records end before the last acknowledged state: the database, its log or the head beside it is lost, damaged or an older one. */
export class RecordsLost extends RecordsChanged {
  constructor(what: string) {
    super([])
    this.name = 'RecordsLost'
    this.message = `${what} Put back records.db, records.db-wal (if there was one) and records.head of one and the same moment, from where this folder was copied or from its newest backup. Nothing was changed or deleted. If there is no better copy and you accept what is lost, start once with --accept-changed-records.`
  }
}

/** Names a state of a whole store. Kept elsewhere, it later exposes an older state. */
export interface RecordsHead {
  /** How many transactions wrote into the store. It never goes back. */
  readonly counter: number
  /** MAC over the counter and all records, lower-case hex. */
  readonly tag: string
}

export interface RecordsVerdict {
  /** Absent where the store has no MACs. */
  readonly head?: RecordsHead
  /** How many records were checked. Entries of the audit log have a chain of their own and don't count. */
  readonly records: number
  /** The first 100 records whose MAC does not fit. */
  readonly tampered: readonly { readonly collection: string; readonly id: string }[]
  /** Set when the set of records is not the one that was written last. */
  readonly changed?: RecordsChanged
}

/** What a store can promise. Rules check it, and tell people. */
export interface StoreProperties {
  /** Whether after a commit with `shred` the former bytes are in no file of the store. */
  readonly shreds: boolean
  /** Whether other processes write into it too. */
  readonly shared: boolean
}

/** Names a record that a transaction reads. */
export interface RecordName {
  readonly collection: string
  readonly id: string
}

/** The records that a transaction has read. */
export interface Found {
  /** @throws Error for a record that the transaction does not name */
  get<T>(from: Collection<T>, id: string): Stored<T> | undefined
}

/** The changes that a transaction makes of what it read. */
export interface Plan<R> {
  readonly changes: readonly Change[]
  readonly result: R
  readonly options?: CommitOptions
}

export interface Transacted<R> {
  readonly result: R
  readonly written: readonly Written[]
}

/** Called with each change by others at least once; with `lost` after a gap, when everything may have changed. */
export type WatchListener = (written: readonly RecordName[] | 'lost') => void

export interface Watch {
  close(): void
}

/**
 * Ordered records by collection and id (ids compare by UTF-8 bytes). It has no rules on purpose: these are in the modules above.
 * Ids: 1 to 1,024 bytes of well-formed text without NUL. Values: JSON up to 16 MiB. A commit: up to 10,000 changes, in order.
 */
export interface RecordStore {
  readonly properties: StoreProperties
  get<T>(from: Collection<T>, id: string): Promise<Stored<T> | undefined>
  list<T>(from: Collection<T>, options: ListOptions): Promise<Stored<T>[]>
  count(from: Collection<unknown>, prefix?: string): Promise<number>
  /**
   * All or nothing, serializable, durable when the promise resolves. @returns what it wrote, in the order of the changes, without
   * conditions. @throws VersionConflict, ShredIncomplete
   */
  commit(changes: readonly Change[], options?: CommitOptions): Promise<readonly Written[]>
  /**
   * Reads the named records and commits what `plan` makes of them, if they have not changed until then. Otherwise it reads and plans anew,
   * so `plan` may run more than once and must not have side effects. @throws VersionConflict of other records that it changes, and as `commit`
   */
  transact<R>(names: readonly RecordName[], plan: (found: Found) => Plan<R>): Promise<Transacted<R>>
  /** Reports writes through other handles on the same records. It is only for speed, so safety must not depend on it. */
  watch(listener: WatchListener): Watch
  /** The name of the current state, once it is on the disk; undefined where records have no MACs. */
  head(): Promise<RecordsHead | undefined>
  /** Checks all records against their MACs, and their set against its head. */
  verify(): Promise<RecordsVerdict>
  close(): Promise<void>
}

/** Records in a file. */
export interface FileRecords extends RecordStore {
  /** Copies all records as of one moment into a new file, while they are used. */
  copyTo(path: string): Promise<void>
}

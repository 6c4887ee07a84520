import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { RecordAuthenticator } from './record-mac.ts'
import * as queries from './record-queries.ts'
import { checkName, limitOf, rangeOf, type Range } from './record-rules.ts'
import type { RecordSet } from './record-set.ts'
import { RecordsChanged, RecordTampered } from './records.ts'
import type { Collection, ListOptions, RecordsHead, RecordsVerdict, Stored } from './records.ts'
import { outOfOrder as recordsOutOfOrder, scanRecords, tagOf } from './sqlite-scan.ts'

export interface ReadingOptions {
  /** Absent: records are read without a check of their MACs. */
  readonly authenticator?: RecordAuthenticator
  /** Called with each record that was tampered with, at each read. */
  readonly onTampered?: (collection: string, id: string) => void
}

/** The reading half of a store in SQLite. Every record that it returns was checked against its MAC. */
export class SqliteReads {
  readonly #database: DatabaseSync
  readonly #authenticator: RecordAuthenticator | undefined
  readonly #onTampered: ReadingOptions['onTampered']
  readonly #statements = new Map<string, StatementSync>()
  readonly #selectRecord: StatementSync
  #closed = false

  constructor(database: DatabaseSync, { authenticator, onTampered }: ReadingOptions) {
    this.#database = database
    this.#authenticator = authenticator
    this.#onTampered = onTampered
    this.#selectRecord = database.prepare(queries.selectRecord)
  }

  get<T>(from: Collection<T>, id: string): Stored<T> | undefined {
    this.mustBeOpen()
    checkName('collection', from.name)
    checkName('id', id)
    const row = this.#selectRecord.get(from.name, id)
    if (row === undefined) return undefined
    if (!this.#isGenuine(from.name, { ...row, id })) throw new RecordTampered(from.name, id)
    return { id, version: Number(row['version']), value: JSON.parse(String(row['value'])) as T }
  }

  list<T>(from: Collection<T>, options: ListOptions): Stored<T>[] {
    const most = limitOf(options)
    const found: Stored<T>[] = []
    for (let rest = options; ;) {
      const limit = most - found.length
      const { rows, genuine, last } = this.#page(from, rest, limit)
      for (const stored of genuine) found.push(stored)
      // A page that is not full would look like the last one, so left-out records are replaced by further ones.
      if (genuine.length === rows || rows < limit || last === undefined) return found
      rest = { ...options, after: last }
    }
  }

  /** The number of rows, the genuine records, and the id of the last row. */
  #page<T>(from: Collection<T>, options: ListOptions, limit: number) {
    const range = rangeOf(options)
    const { reverse = false, onTampered } = options
    const statement = this.#rangeStatement(`list ${reverse}`, range, shape => queries.selectRange(shape, reverse))
    const rows = statement.all(...rangeValues(from, range), limit)
    const genuine: Stored<T>[] = []
    let last: string | undefined
    for (const row of rows) {
      const id = (last = String(row['id']))
      if (this.#isGenuine(from.name, row))
        genuine.push({ id, version: Number(row['version']), value: JSON.parse(String(row['value'])) as T })
      else if (onTampered === undefined) throw new RecordTampered(from.name, id)
      else onTampered(id)
    }
    return { rows: rows.length, genuine, last }
  }

  count(from: Collection<unknown>, prefix = ''): number {
    const range = rangeOf({ prefix })
    const statement = this.#rangeStatement('count', range, queries.countRange)
    return Number(statement.get(...rangeValues(from, range))?.['records'])
  }

  /** Checks all records against their MACs, and their set against `set`, unless a `fault` of it is known. */
  async verify(set: RecordSet | undefined, fault: Error | undefined): Promise<Omit<RecordsVerdict, 'head'>> {
    this.mustBeOpen()
    const authenticator = this.#authenticator
    if (authenticator === undefined || set === undefined) return { records: 0, tampered: [] }
    return set.whileScanned(async scan => {
      const { outOfOrder, ...found } = await scanRecords(this.#database, authenticator, scan, () => !this.#closed)
      for (const { collection, id } of found.tampered) this.#onTampered?.(collection, id)
      const moved = outOfOrder === undefined ? scan.set.equals(set) : recordsOutOfOrder(outOfOrder)
      const changed = fault instanceof RecordsChanged ? fault : moved
      return { ...found, ...(changed === undefined ? {} : { changed }) }
    })
  }

  /** Closes it for reads. */
  close(): void {
    this.#closed = true
  }

  mustBeOpen(): void {
    if (this.#closed) throw new Error('The record store is closed.')
  }

  /** The one place where a record from the database is checked against its MAC. */
  #isGenuine(collection: string, row: Readonly<Record<string, SQLOutputValue>>): boolean {
    if (this.#authenticator === undefined) return true
    const [id, version, json] = [String(row['id']), Number(row['version']), String(row['value'])]
    if (this.#authenticator.isGenuine(tagOf(row['mac']), collection, id, version, json)) return true
    this.#onTampered?.(collection, id)
    return false
  }

  #rangeStatement(kind: string, range: Range, compile: (shape: queries.RangeShape) => string): StatementSync {
    this.mustBeOpen()
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

/** The name of the current state, where it is known to be as it was written. */
export function headOf(set: RecordSet | undefined, fault: Error | undefined): RecordsHead | undefined {
  return fault === undefined ? set?.head() : undefined
}

function rangeValues(from: Collection<unknown>, { low, high }: Range): string[] {
  checkName('collection', from.name)
  return high === undefined ? [from.name, low] : [from.name, low, high]
}

import { deepFreeze } from './record-cache.ts'
import type { RecordAuthenticator } from './record-mac.ts'
import {
  checkName,
  compareIds,
  encodeChanges,
  limitOf,
  planCommit,
  rangeOf,
  writtenBy,
  type Range,
  type Write,
} from './record-rules.ts'
import { RecordSet } from './record-set.ts'
import type { Change, Collection, ListOptions, RecordStore, Stored, Written } from './records.ts'
import { transactOver } from './transact.ts'

interface Row {
  readonly version: number
  readonly json: string
  /** Its MAC, where the store has the key. */
  readonly tag?: Buffer | undefined
}

/**
 * The in-memory twin of the databases. Every value goes in and out as a JSON copy. With an authenticator it has the same head as a
 * database with the same commits. Nobody outside of this process can change it, so reads don't check MACs.
 */
export function openMemoryRecords(authenticator?: RecordAuthenticator): RecordStore {
  const table = new Table(authenticator)
  const records: RecordStore = {
    properties: { shreds: true, shared: false },
    async get<T>(from: Collection<T>, id: string) {
      table.mustBeOpen()
      checkName('collection', from.name)
      checkName('id', id)
      const row = table.row(from.name, id)
      // Frozen like the values of a database's cache, so that code that changes them fails with this store too.
      return row && deepFreeze(decode<T>(id, row))
    },
    async list<T>(from: Collection<T>, options: ListOptions) {
      const rows = table.inRange(from, rangeOf(options))
      if (options.reverse) rows.reverse()
      return rows.slice(0, limitOf(options)).map(([id, row]) => decode<T>(id, row))
    },
    async count(from: Collection<unknown>, prefix = '') {
      return table.inRange(from, rangeOf({ prefix })).length
    },
    commit: async (changes: readonly Change[]) => table.commit(changes),
    async head() {
      table.mustBeOpen()
      return table.set?.head()
    },
    async verify() {
      table.mustBeOpen()
      const { set } = table
      return { records: set?.rows ?? 0, tampered: [], ...(set === undefined ? {} : { head: set.head() }) }
    },
    transact: (names, plan) => transactOver(records, names, plan),
    watch: () => ({ close: () => {} }),
    close: async () => table.close(),
  }
  return records
}

class Table {
  readonly set: RecordSet | undefined
  readonly #authenticator: RecordAuthenticator | undefined
  readonly #collections = new Map<string, Map<string, Row>>()
  #closed = false

  constructor(authenticator: RecordAuthenticator | undefined) {
    this.#authenticator = authenticator
    this.set = authenticator && new RecordSet(authenticator)
  }

  mustBeOpen(): void {
    if (this.#closed) throw new Error('The record store is closed.')
  }

  row(collection: string, id: string): Row | undefined {
    return this.#collections.get(collection)?.get(id)
  }

  inRange(from: Collection<unknown>, range: Range): [string, Row][] {
    this.mustBeOpen()
    checkName('collection', from.name)
    return [...(this.#collections.get(from.name) ?? [])]
      .filter(([id]) => {
        const order = compareIds(id, range.low)
        const aboveLow = range.lowIncluded ? order >= 0 : order > 0
        return aboveLow && (range.high === undefined || compareIds(id, range.high) < 0)
      })
      .sort(([a], [b]) => compareIds(a, b))
  }

  commit(changes: readonly Change[]): readonly Written[] {
    this.mustBeOpen()
    const versionOf = (collection: string, id: string) => this.row(collection, id)?.version ?? 0
    const plan = planCommit(encodeChanges(changes), versionOf)
    for (const change of plan) this.#write(change)
    this.set?.advance()
    this.set?.keep()
    return writtenBy(plan)
  }

  close(): void {
    this.#closed = true
    this.#collections.clear()
  }

  #write({ collection, id, version, json }: Write): void {
    const rows = this.#collections.get(collection) ?? new Map<string, Row>()
    this.#collections.set(collection, rows)
    const former = rows.get(id)?.tag
    if (former !== undefined) this.set?.take(collection, former)
    const tag = json === undefined ? undefined : this.#authenticator?.macOf(collection, id, version, json)
    if (tag !== undefined) this.set?.add(collection, tag)
    if (json === undefined) rows.delete(id)
    else rows.set(id, { version, json, tag })
  }
}

function decode<T>(id: string, { version, json }: Row): Stored<T> {
  return { id, version, value: JSON.parse(json) as T }
}

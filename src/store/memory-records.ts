import { deepFreeze } from './record-cache.ts'
import { checkName, compareIds, encodeChanges, limitOf, planCommit, rangeOf, type Range } from './record-rules.ts'
import type { Change, Collection, ListOptions, RecordStore, Stored } from './records.ts'

interface Row {
  readonly version: number
  readonly json: string
}

/** The in-memory twin of the databases; every value goes in and out as a JSON copy. */
export function openMemoryRecords(): RecordStore {
  const collections = new Map<string, Map<string, Row>>()
  let closed = false

  function mustBeOpen(): void {
    if (closed) throw new Error('The record store is closed.')
  }

  function inRange(from: Collection<unknown>, range: Range): [string, Row][] {
    mustBeOpen()
    checkName('collection', from.name)
    return [...(collections.get(from.name) ?? [])]
      .filter(([id]) => {
        const order = compareIds(id, range.low)
        const aboveLow = range.lowIncluded ? order >= 0 : order > 0
        return aboveLow && (range.high === undefined || compareIds(id, range.high) < 0)
      })
      .sort(([a], [b]) => compareIds(a, b))
  }

  return {
    async get<T>(from: Collection<T>, id: string) {
      mustBeOpen()
      checkName('collection', from.name)
      checkName('id', id)
      const row = collections.get(from.name)?.get(id)
      // Frozen as a database's cache gives them: what changes them is found with this store too.
      return row && deepFreeze(decode<T>(id, row))
    },
    async list<T>(from: Collection<T>, options: ListOptions = {}) {
      const rows = inRange(from, rangeOf(options))
      if (options.reverse) rows.reverse()
      return rows.slice(0, limitOf(options)).map(([id, row]) => decode<T>(id, row))
    },
    async count(from: Collection<unknown>, prefix = '') {
      return inRange(from, rangeOf({ prefix })).length
    },
    async commit(changes: readonly Change[]) {
      mustBeOpen()
      const versionOf = (name: string, id: string) => collections.get(name)?.get(id)?.version ?? 0
      for (const { collection, id, version, json } of planCommit(encodeChanges(changes), versionOf)) {
        const rows = collections.get(collection) ?? new Map<string, Row>()
        collections.set(collection, rows)
        if (json === undefined) rows.delete(id)
        else rows.set(id, { version, json })
      }
    },
    async close() {
      closed = true
      collections.clear()
    },
  }
}

function decode<T>(id: string, { version, json }: Row): Stored<T> {
  return { id, version, value: JSON.parse(json) as T }
}

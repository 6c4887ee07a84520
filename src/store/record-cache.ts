import type { Stored } from './records.ts'

const maximumRecords = 4096
/** Larger values are read from the database each time. A vault with as many access policies as it may have is smaller. */
const maximumJsonLength = 1024 * 1024
/** Of all of them together; parsed they take a few times as much. */
const maximumTotalLength = 16 * 1024 * 1024

/** Records that were read lately, parsed and frozen. Whoever writes a record must `drop` it before anybody reads again. */
export interface RecordCache {
  get<T>(collection: string, id: string): Stored<T> | undefined
  /** Parses a record as it stands in the database, and keeps it if it is small. */
  set<T>(collection: string, id: string, version: number, json: string): Stored<T>
  drop(collection: string, id: string): void
}

/** A cache of bounded size; the record that came in first goes first. */
export function recordCache(): RecordCache {
  const records = new Map<string, { readonly record: Stored<unknown>; readonly length: number }>()
  let total = 0
  const drop = (key: string): void => {
    total -= records.get(key)?.length ?? 0
    records.delete(key)
  }
  return {
    get: <T>(collection: string, id: string) => records.get(`${collection}\0${id}`)?.record as Stored<T> | undefined,
    set<T>(collection: string, id: string, version: number, json: string) {
      // Several readers get the same objects: nobody may change them.
      const record: Stored<T> = deepFreeze({ id, version, value: JSON.parse(json) as T })
      const key = `${collection}\0${id}`
      drop(key)
      if (json.length > maximumJsonLength) return record
      for (const oldest of records.keys()) {
        if (records.size < maximumRecords && total + json.length <= maximumTotalLength) break
        drop(oldest)
      }
      records.set(key, { record, length: json.length })
      total += json.length
      return record
    },
    drop: (collection, id) => drop(`${collection}\0${id}`),
  }
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}

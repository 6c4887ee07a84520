import type { Stored } from './records.ts'

const maximumRecords = 4096
/** Larger values are read from the database each time. */
const maximumJsonLength = 16 * 1024

/** Records that were read lately, parsed and frozen. Whoever writes a record must `drop` it before anybody reads again. */
export interface RecordCache {
  get<T>(collection: string, id: string): Stored<T> | undefined
  /** Parses a record as it stands in the database, and keeps it if it is small. */
  set<T>(collection: string, id: string, version: number, json: string): Stored<T>
  drop(collection: string, id: string): void
}

/** A cache of bounded size; the record that came in first goes first. */
export function recordCache(): RecordCache {
  const records = new Map<string, Stored<unknown>>()
  return {
    get: <T>(collection: string, id: string) => records.get(`${collection}\0${id}`) as Stored<T> | undefined,
    set<T>(collection: string, id: string, version: number, json: string) {
      // Several readers get the same objects: nobody may change them.
      const record: Stored<T> = deepFreeze({ id, version, value: JSON.parse(json) as T })
      if (json.length > maximumJsonLength) return record
      const oldest = records.size >= maximumRecords ? records.keys().next().value : undefined
      if (oldest !== undefined) records.delete(oldest)
      records.set(`${collection}\0${id}`, record)
      return record
    },
    drop: (collection, id) => void records.delete(`${collection}\0${id}`),
  }
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}

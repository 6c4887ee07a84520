import type { Stored } from './records.ts'

const maximumRecords = 4096
/** Larger values are read from the database each time. A vault with the most access policies is smaller. */
const maximumJsonLength = 1024 * 1024
/** Bytes of all records together. Parsed they take a few times as much. */
const maximumTotalLength = 16 * 1024 * 1024

/** Records that were read lately, frozen, in bounded number and size. The oldest is dropped first. */
export class RecordCache {
  readonly #records = new Map<string, { readonly record: Stored<unknown>; readonly length: number }>()
  #total = 0

  get<T>(collection: string, id: string): Stored<T> | undefined {
    return this.#records.get(keyOf(collection, id))?.record as Stored<T> | undefined
  }

  /** Freezes the record, since several readers get the same object, and keeps it if it is small. */
  set<T>(collection: string, record: Stored<T>): Stored<T> {
    deepFreeze(record)
    const key = keyOf(collection, record.id)
    this.drop(key)
    const { length } = JSON.stringify(record.value)
    if (length > maximumJsonLength) return record
    for (const oldest of this.#records.keys()) {
      if (this.#records.size < maximumRecords && this.#total + length <= maximumTotalLength) break
      this.drop(oldest)
    }
    this.#records.set(key, { record, length })
    this.#total += length
    return record
  }

  /** @param key of `keyOf` */
  drop(key: string): void {
    const known = this.#records.get(key)
    if (known === undefined) return
    this.#total -= known.length
    this.#records.delete(key)
  }

  clear(): void {
    this.#records.clear()
    this.#total = 0
  }
}

export function keyOf(collection: string, id: string): string {
  return `${collection}\0${id}`
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}

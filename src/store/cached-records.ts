import { ForwardedRecords } from './forwarded-records.ts'
import { keyOf, RecordCache } from './record-cache.ts'
import type { Change, Collection, CommitOptions, FileRecords, RecordStore, Stored, Written } from './records.ts'

/**
 * Caches records that were read lately. Only over a store without other writers: access that another process revokes would be
 * granted here while the record is cached. @throws Error over a shared store
 */
export class CachedRecords extends ForwardedRecords {
  readonly #cache = new RecordCache()
  /** How many commits under way write the record, by key. Until they are done, a read may return the old record. */
  readonly #writing = new Map<string, number>()
  #begun = 0
  #isClosed = false

  constructor(inner: RecordStore) {
    super(inner)
    if (inner.properties.shared) throw new Error('A store with other writers must not be cached.')
  }

  override async get<T>(from: Collection<T>, id: string): Promise<Stored<T> | undefined> {
    const known = this.#cache.get<T>(from.name, id)
    if (known !== undefined) return known
    const isQuiet = (): boolean => !this.#writing.has(keyOf(from.name, id)) && !this.#isClosed
    const [wasQuiet, begun] = [isQuiet(), this.#begun]
    const stored = await this.inner.get(from, id)
    const isOfNow = wasQuiet && isQuiet() && begun === this.#begun
    return stored !== undefined && isOfNow ? this.#cache.set(from.name, stored) : stored
  }

  override async commit(changes: readonly Change[], options?: CommitOptions): Promise<readonly Written[]> {
    this.#begun += 1
    const keys: string[] = []
    for (const { collection, id, mustExist, ifVersion } of changes) {
      // Nothing is cached of a record that is not there yet, so audit entries cost nothing here.
      if (mustExist !== undefined || ifVersion === 0) continue
      const key = keyOf(collection, id)
      keys.push(key)
      this.#cache.drop(key)
      this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1)
    }
    try {
      return await this.inner.commit(changes, options)
    } finally {
      for (const key of keys) {
        const left = (this.#writing.get(key) ?? 1) - 1
        if (left === 0) this.#writing.delete(key)
        else this.#writing.set(key, left)
      }
    }
  }

  override close(): Promise<void> {
    this.#isClosed = true
    this.#cache.clear()
    return this.inner.close()
  }
}

/** The same for records in a file. */
export class CachedFileRecords extends CachedRecords implements FileRecords {
  readonly #file: FileRecords

  constructor(inner: FileRecords) {
    super(inner)
    this.#file = inner
  }

  copyTo(path: string): Promise<void> {
    return this.#file.copyTo(path)
  }
}

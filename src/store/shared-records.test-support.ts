import { setImmediate } from 'node:timers/promises'
import { ForwardedRecords } from './forwarded-records.ts'
import type {
  Change,
  Collection,
  CommitOptions,
  ListOptions,
  RecordStore,
  Stored,
  StoreProperties,
  Watch,
  WatchListener,
  Written,
} from './records.ts'
import { CommitUnknown } from './storage-errors.ts'

/** Handles on the same records, as several processes have them. Their operations interleave, and each is told what the others wrote. */
export class SharedRecords {
  readonly #records: RecordStore
  readonly #handles = new Set<Handle>()

  constructor(records: RecordStore) {
    this.#records = records
  }

  open(): Handle {
    const handle = new Handle(this.#records, written => {
      for (const other of this.#handles) if (other !== handle) other.tell(written)
    })
    this.#handles.add(handle)
    return handle
  }

  /** Of all of them. */
  async close(): Promise<void> {
    await this.#records.close()
  }
}

export class Handle extends ForwardedRecords {
  /** The next commit succeeds, but its answer does not arrive. */
  losesAnswer = false
  readonly #wrote: (written: readonly Written[]) => void
  readonly #listeners = new Set<WatchListener>()
  #isClosed = false

  constructor(inner: RecordStore, wrote: (written: readonly Written[]) => void) {
    super(inner)
    this.#wrote = wrote
  }

  override get properties(): StoreProperties {
    return { ...this.inner.properties, shared: true }
  }

  tell(written: readonly Written[]): void {
    for (const listener of this.#listeners) listener(written)
  }

  override async get<T>(from: Collection<T>, id: string): Promise<Stored<T> | undefined> {
    await this.#turn()
    return this.inner.get(from, id)
  }

  override async list<T>(from: Collection<T>, options: ListOptions): Promise<Stored<T>[]> {
    await this.#turn()
    return this.inner.list(from, options)
  }

  override async count(from: Collection<unknown>, prefix?: string): Promise<number> {
    await this.#turn()
    return this.inner.count(from, prefix)
  }

  override async commit(changes: readonly Change[], options?: CommitOptions): Promise<readonly Written[]> {
    await this.#turn()
    const isLost = this.losesAnswer
    this.losesAnswer = false
    const written = await this.inner.commit(changes, options)
    this.#wrote(written)
    if (isLost) throw new CommitUnknown(new Error('The answer did not arrive.'))
    return written
  }

  override watch(listener: WatchListener): Watch {
    this.#listeners.add(listener)
    return { close: () => void this.#listeners.delete(listener) }
  }

  override async close(): Promise<void> {
    this.#isClosed = true
    this.#listeners.clear()
  }

  async #turn(): Promise<void> {
    if (this.#isClosed) throw new Error('The record store is closed.')
    await setImmediate()
  }
}

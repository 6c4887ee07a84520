import type {
  Change,
  Collection,
  CommitOptions,
  Found,
  ListOptions,
  Plan,
  RecordName,
  RecordsHead,
  RecordStore,
  RecordsVerdict,
  Stored,
  StoreProperties,
  Transacted,
  Watch,
  WatchListener,
  Written,
} from './records.ts'
import { transactOver } from './transact.ts'

/** The base of every decorator of a store. It forwards everything, and a transaction goes through its own `get` and `commit`. */
export class ForwardedRecords implements RecordStore {
  protected readonly inner: RecordStore

  constructor(inner: RecordStore) {
    this.inner = inner
  }

  get properties(): StoreProperties {
    return this.inner.properties
  }

  get<T>(from: Collection<T>, id: string): Promise<Stored<T> | undefined> {
    return this.inner.get(from, id)
  }

  list<T>(from: Collection<T>, options: ListOptions): Promise<Stored<T>[]> {
    return this.inner.list(from, options)
  }

  count(from: Collection<unknown>, prefix?: string): Promise<number> {
    return this.inner.count(from, prefix)
  }

  commit(changes: readonly Change[], options?: CommitOptions): Promise<readonly Written[]> {
    return this.inner.commit(changes, options)
  }

  transact<R>(names: readonly RecordName[], plan: (found: Found) => Plan<R>): Promise<Transacted<R>> {
    return transactOver(this, names, plan)
  }

  watch(listener: WatchListener): Watch {
    return this.inner.watch(listener)
  }

  head(): Promise<RecordsHead | undefined> {
    return this.inner.head()
  }

  verify(): Promise<RecordsVerdict> {
    return this.inner.verify()
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

import { randomUUID } from 'node:crypto'
import { collection, mustExist, put, remove, storedAs, VersionConflict } from './records.ts'
import type { Change, RecordStore, Stored } from './records.ts'
import { CommitUnknown } from './storage-errors.ts'

/** A lease of work: one of several processes at a time does it. */
export interface Leases {
  /** Undefined while another process has it. @param ttlMs milliseconds after which a holder that is gone has lost it */
  claim(name: string, ttlMs: number): Promise<Lease | undefined>
}

export interface Lease {
  /** For every commit of the holder, so that it can't write after it lost the lease. Empty where no other process can have it. */
  readonly fence: readonly Change[]
  /** Aborted when the lease may be lost, before another process can have it. */
  readonly signal: AbortSignal
  release(): Promise<void>
}

interface LeaseRecord {
  readonly holder: string
  /** Milliseconds since 1970, by the common clock of all processes of the store. */
  readonly expires: number
}

/** By name. */
const leases = collection<LeaseRecord>('store.leases')
/** By holder, which is new with each claim, so a lost fence never becomes valid again. */
const fences = collection<{ readonly name: string }>('store.lease-fences')

/** Does the work, then releases the lease, also after a failure. A lease that can't be released ends by itself. */
export async function underLease<T>(lease: Lease, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await lease.release().catch(() => undefined)
  }
}

/** Whether a fence failed, since the lease now belongs to another process or to none. */
export function isFenced(error: unknown): boolean {
  return error instanceof VersionConflict && error.collection === fences.name
}

/** Leases of a store. They are kept in it where other processes write into it, otherwise in this process. @param now the clock of the store */
export function openLeases(records: RecordStore, now: () => number): Leases {
  return records.properties.shared ? new StoredLeases(records, now) : new OwnLeases()
}

/** For a store without other processes. The leases end with this process. */
class OwnLeases implements Leases {
  readonly #held = new Set<string>()

  async claim(name: string): Promise<Lease | undefined> {
    if (this.#held.has(name)) return undefined
    this.#held.add(name)
    return {
      fence: [],
      signal: new AbortController().signal,
      release: async () => void this.#held.delete(name),
    }
  }
}

class StoredLeases implements Leases {
  readonly #records: RecordStore
  readonly #now: () => number

  constructor(records: RecordStore, now: () => number) {
    this.#records = records
    this.#now = now
  }

  async claim(name: string, ttlMs: number): Promise<Lease | undefined> {
    const before = await this.#records.get(leases, name)
    if (before !== undefined && before.value.expires > this.#now()) return undefined
    const holder = randomUUID()
    const value = { holder, expires: this.#now() + ttlMs }
    const asked = performance.now()
    const changes = [
      put(leases, name, value, before?.version ?? 0),
      put(fences, holder, { name }, 0),
      ...(before === undefined ? [] : [remove(fences, before.value.holder)]),
    ]
    const stored = await this.#records.commit(changes).then(
      written => storedAs(written, leases, name, value),
      (error: unknown) => foundInstead(this.#records, { name, holder }, error),
    )
    // Another was faster.
    if (stored === undefined) return undefined
    return new HeldLease({ records: this.#records, now: this.#now, ttlMs }, stored, asked)
  }
}

/**
 * The record of the holder's lease after a commit that failed; undefined where the lease belongs to another process or to none. The commit
 * may have succeeded without an answer, or an earlier one may. @throws the error, where it says nothing about the lease
 */
async function foundInstead(
  records: RecordStore,
  { name, holder }: { readonly name: string; readonly holder: string },
  error: unknown,
): Promise<Stored<LeaseRecord> | undefined> {
  const isKnown = error instanceof VersionConflict
  if (!isKnown && !(error instanceof CommitUnknown)) throw error
  const found = await records.get(leases, name)
  if (found?.value.holder === holder) return found
  if (isKnown) return undefined
  throw error
}

interface LeaseStore {
  readonly records: RecordStore
  readonly now: () => number
  readonly ttlMs: number
}

/**
 * It is renewed after a third of its time, and given up after two thirds without a renewal, as restic's locks and Kubernetes' leader
 * election do. That goes by this process's monotonic clock, and is before the store's clock lets another process have it.
 */
class HeldLease implements Lease {
  readonly fence: readonly Change[]
  readonly #store: LeaseStore
  readonly #lost = new AbortController()
  #stored: Stored<LeaseRecord>
  #renewal: Promise<void> = Promise.resolve()
  #giveUp: NodeJS.Timeout
  readonly #renew: NodeJS.Timeout

  constructor(store: LeaseStore, stored: Stored<LeaseRecord>, asked: number) {
    this.#store = store
    this.#stored = stored
    this.fence = [mustExist(fences, stored.value.holder)]
    this.#giveUp = this.#givingUp(asked)
    this.#renew = setInterval(() => {
      this.#renewal = this.#renewal.then(() => this.#renewOnce())
    }, store.ttlMs / 3).unref()
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  async release(): Promise<void> {
    this.#stop()
    await this.#renewal
    // One under way has set its time anew.
    this.#stop()
    for (let left: Stored<LeaseRecord> | undefined = this.#stored, looks = 0; left !== undefined; looks += 1)
      left = await this.#remove(left, looks > 0)
  }

  /** What is left of it: nothing where it was lost already, since the new holder keeps it. */
  async #remove(
    { id, version, value }: Stored<LeaseRecord>,
    isAgain: boolean,
  ): Promise<Stored<LeaseRecord> | undefined> {
    const { records } = this.#store
    try {
      await records.commit([remove(leases, id, version), remove(fences, value.holder)])
      return undefined
    } catch (error) {
      const found = await this.#foundInstead(error).catch((fault: unknown) => {
        // It is gone, so only the answer was lost.
        if (fault === error && error instanceof CommitUnknown) return undefined
        throw fault
      })
      if (found !== undefined && isAgain) throw error
      return found
    }
  }

  #foundInstead(error: unknown): Promise<Stored<LeaseRecord> | undefined> {
    const { id, value } = this.#stored
    return foundInstead(this.#store.records, { name: id, holder: value.holder }, error)
  }

  async #renewOnce(): Promise<void> {
    if (this.#lost.signal.aborted) return
    const { records, now, ttlMs } = this.#store
    const { id, version, value } = this.#stored
    const asked = performance.now()
    const renewed = { ...value, expires: now() + ttlMs }
    try {
      const written = await records.commit([...this.fence, put(leases, id, renewed, version)])
      this.#stored = storedAs(written, leases, id, renewed)
    } catch (error) {
      const found = await this.#foundInstead(error).catch(() => this.#stored)
      if (found === undefined) return this.#lose()
      this.#stored = found
      // After other errors it is tried again, until it is given up.
      if (found.value.expires !== renewed.expires) return
    }
    clearTimeout(this.#giveUp)
    if (!this.#lost.signal.aborted) this.#giveUp = this.#givingUp(asked)
  }

  #givingUp(asked: number): NodeJS.Timeout {
    return setTimeout(() => this.#lose(), (this.#store.ttlMs * 2) / 3 - (performance.now() - asked)).unref()
  }

  #lose(): void {
    this.#stop()
    this.#lost.abort(new Error(`The lease ${this.#stored.id} was lost.`))
  }

  #stop(): void {
    clearInterval(this.#renew)
    clearTimeout(this.#giveUp)
  }
}

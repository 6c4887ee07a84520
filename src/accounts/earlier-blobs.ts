import { everyRecord } from '../store/every-record.ts'
import type { RecordStore, Watch } from '../store/records.ts'
import { blobRecords } from '../encryption/blob-records.ts'
import { keyStates } from '../encryption/key-state.ts'

interface Counted {
  readonly ownSince: number
  readonly blobs: number
  /** Monotonic milliseconds. */
  readonly at: number
  /** Something of the account was removed or re-encrypted since. */
  stale: boolean
}

/** How long a count is valid while new blobs still come: for accounts from before key states. Milliseconds. */
const RECOUNT_MS = 5000

/**
 * How many blobs of an account are still sealed under a generation that was once wrapped by another key than the current one (K1).
 * Those generations are closed and get no new blobs, so a count holds until one is removed or re-encrypted.
 */
export class EarlierBlobs {
  readonly #records: RecordStore
  readonly #counted = new Map<string, Counted>()

  constructor(records: RecordStore) {
    this.#records = records
  }

  /** The last count; undefined: never counted. */
  of(accountId: string): number | undefined {
    return this.#counted.get(accountId)?.blobs
  }

  /** A blob of the account was removed or re-encrypted. */
  changed(accountId: string): void {
    const known = this.#counted.get(accountId)
    if (known !== undefined) known.stale = true
  }

  /** What another process removed or re-encrypted is counted anew here too. */
  followOthers(): Watch {
    return this.#records.watch(written => {
      if (written === 'lost') return this.#counted.clear()
      for (const { collection, id } of written)
        if (collection === blobRecords.name) this.changed(id.slice(0, id.indexOf('/')))
    })
  }

  /** Counts where needed; an account that never changed its key has none. */
  async count(accountId: string): Promise<number> {
    const { ownSince = 1, generation = 1 } = (await this.#records.get(keyStates, accountId))?.value ?? {}
    const at = performance.now()
    const known = this.#counted.get(accountId)
    const isOpen = generation < ownSince && at - (known?.at ?? 0) > RECOUNT_MS
    if (known?.ownSince === ownSince && !isOpen && (known.blobs === 0 || !known.stale)) return known.blobs
    const counting: Counted = { ownSince, blobs: known?.blobs ?? 0, at, stale: false }
    this.#counted.set(accountId, counting)
    const blobs = ownSince === 1 ? 0 : await this.#count(accountId, ownSince)
    this.#counted.set(accountId, { ownSince, blobs, at, stale: counting.stale })
    return blobs
  }

  async #count(accountId: string, ownSince: number): Promise<number> {
    let count = 0
    for await (const { value } of everyRecord(this.#records, blobRecords, { prefix: `${accountId}/` }))
      if (value.generation > 0 && value.generation < ownSince) count += 1
    return count
  }
}

import { ForwardedRecords } from '../store/forwarded-records.ts'
import {
  ShredIncomplete,
  type Change,
  type Collection,
  type RecordStore,
  type Written,
  type CommitOptions,
} from '../store/records.ts'
import { blobRecords } from './blob-records.ts'
import { serviceKeys } from './key-ring.ts'
import { keyRows } from './key-ring-rows.ts'

interface Destroying {
  readonly collection: Collection<unknown>
  readonly what: string
  /** Whether writing over a record is a destruction too, or only its removal. */
  readonly whenReplaced: boolean
}

/**
 * The collections whose changes are destructions: their records hold a wrapped key, whose bytes must not stay in a log or a free page.
 * The embedded vault destroys its keys itself.
 */
export const DESTRUCTIONS: readonly Destroying[] = [
  {
    collection: keyRows,
    // Enabling, another key or vault, another version, following one, disabling; a change that broke off; the end of a
    // re-encryption; a purge.
    what: 'a data key wrapped by a key-encryption key that was left, or whose generation was retired',
    whenReplaced: true,
  },
  {
    collection: serviceKeys,
    // Enabling; a purge.
    what: "an account's service-managed key",
    whenReplaced: true,
  },
  {
    collection: blobRecords,
    // A deleted file, model, deployment or account; a checkpoint, or its state, that a job drops. Writing over one is a
    // re-encryption, whose end destroys all it wrote over together with their data key.
    what: 'the only copy of a blob key',
    whenReplaced: false,
  },
]

/**
 * K1: a store in which every commit that destroys a key has `shred`, whoever makes it. Where the disk refuses to erase and
 * the caller did not ask for it, the commit counts, `told` is called, and the next commit erases.
 */
export function shredding(records: RecordStore, told: (error: ShredIncomplete) => void): RecordStore {
  return new ShreddingRecords(records, told)
}

class ShreddingRecords extends ForwardedRecords {
  readonly #told: (error: ShredIncomplete) => void
  #isOwed = false

  constructor(inner: RecordStore, told: (error: ShredIncomplete) => void) {
    super(inner)
    this.#told = told
  }

  override async commit(changes: readonly Change[], options: CommitOptions = {}): Promise<readonly Written[]> {
    const { shred: isAsked = false } = options
    const shred = isAsked || this.#isOwed || changes.some(isDestruction)
    try {
      const written = await this.inner.commit(changes, { ...options, shred })
      if (shred) this.#isOwed = false
      return written
    } catch (error) {
      if (!(error instanceof ShredIncomplete)) throw error
      this.#isOwed = true
      this.#told(error)
      if (isAsked) throw error
      return error.written
    }
  }
}

/** Whether the change takes a wrapped key away. */
export function isDestruction(change: Change): boolean {
  if (change.mustExist !== undefined) return false
  const rule = DESTRUCTIONS.find(({ collection }) => collection.name === change.collection)
  if (rule === undefined) return false
  return change.value === undefined || (rule.whenReplaced && change.ifVersion !== 0)
}

import { ShredIncomplete, type Change, type Collection, type RecordStore } from '../store/records.ts'
import { blobRecords } from './blob-records.ts'
import { serviceKeys } from './key-ring.ts'
import { keyRows } from './key-ring-rows.ts'

interface Destroying {
  readonly collection: Collection<unknown>
  readonly what: string
  /** Whether writing over a record destroys too, or only its removal. */
  readonly whenReplaced: boolean
}

/**
 * What counts as destruction: records that hold a wrapped key, whose bytes must not outlive them in a log or a free page. Keys of
 * the embedded vault are destroyed by the vault itself.
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
 * K1: a store in which every commit that destroys a key is one with `shred`, whoever makes it. Where the disk refuses to erase and
 * the caller did not ask for it, the commit stands, `told` is called, and the next commit erases.
 */
export function shredding(records: RecordStore, told: (error: ShredIncomplete) => void): RecordStore {
  let isOwed = false
  return {
    get: (from, id) => records.get(from, id),
    list: (from, options) => records.list(from, options),
    count: (from, prefix) => records.count(from, prefix),
    head: () => records.head(),
    verify: () => records.verify(),
    close: () => records.close(),
    commit: async (changes, options = {}) => {
      const { shred: isAsked = false } = options
      const shred = isAsked || isOwed || changes.some(isDestruction)
      try {
        const written = await records.commit(changes, { ...options, shred })
        if (shred) isOwed = false
        return written
      } catch (error) {
        if (!(error instanceof ShredIncomplete)) throw error
        isOwed = true
        told(error)
        if (isAsked) throw error
        return error.written
      }
    },
  }
}

/** Whether the change takes a wrapped key away. */
export function isDestruction(change: Change): boolean {
  if (change.mustExist !== undefined) return false
  const rule = DESTRUCTIONS.find(({ collection }) => collection.name === change.collection)
  if (rule === undefined) return false
  return change.value === undefined || (rule.whenReplaced && change.ifVersion !== 0)
}

import type { BlobStore } from './blobs.ts'

/** A blob store whose files can be held for a while. Blobs that are removed meanwhile are gone for their users, and unlinked afterwards. */
export interface HeldBlobs extends BlobStore {
  /** Holds all files until the function that it resolves to is called. Several holds are independent. */
  hold(): () => Promise<void>
}

/**
 * Lets a backup link or copy the files that its records name, while their owners go on deleting. A crash in between leaves files without
 * records, like a crash between the removal of a record and of its file.
 */
export function holdable(blobs: BlobStore): HeldBlobs {
  /** Removed, and still there. */
  const owed = new Set<string>()
  let holds = 0

  async function unlink(id: string): Promise<void> {
    await blobs.remove(id)
    owed.delete(id)
  }

  return {
    async create(id, source) {
      // Its name is free again for others.
      if (owed.has(id)) await unlink(id)
      return blobs.create(id, source)
    },
    open: async id => (owed.has(id) ? undefined : blobs.open(id)),
    async remove(id) {
      if (holds > 0) owed.add(id)
      else await unlink(id)
    },
    async *list(prefix) {
      for await (const id of blobs.list(prefix)) if (!owed.has(id)) yield id
    },
    hold() {
      holds += 1
      let isOver = false
      return async () => {
        if (isOver) return
        isOver = true
        holds -= 1
        if (holds > 0) return
        const ended = await Promise.allSettled([...owed].map(unlink))
        const failed = ended.find(({ status }) => status === 'rejected')
        if (failed?.status === 'rejected') throw failed.reason
      }
    },
  }
}

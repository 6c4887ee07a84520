import { ShredIncomplete } from '../store/records.ts'
import { leftNothing } from '../store/storage-errors.ts'
import type { BlobRecord } from './blob-records.ts'
import type { SealedBlobs } from './sealed-blobs.ts'

/**
 * Runs a task that seals new blobs and commits them at its end. Where it fails and nothing was committed, their files are removed at
 * once, since on a full disk each would take room until the next start. ADR 0023: after a commit with unknown outcome they stay.
 */
export async function withNewBlobs<T>(
  blobs: SealedBlobs,
  run: (create: SealedBlobs['create']) => Promise<T>,
): Promise<T> {
  const made: BlobRecord[] = []
  try {
    return await run(async blob => {
      const created = await blobs.create(blob)
      made.push(created.record)
      return created
    })
  } catch (error) {
    if (leftNothing(error)) for (const record of made) await blobs.discard(record)
    throw error
  }
}

/** Unlinks the blobs whose keys a commit destroyed; also where old bytes of its records are still to be erased. @throws what the commit throws */
export async function unlinkAfter<T>(
  commit: Promise<T>,
  removals: readonly { readonly unlink: () => Promise<void> }[],
): Promise<T> {
  // A commit that throws ShredIncomplete was made.
  const isDone = commit.then(
    () => true,
    (error: unknown) => error instanceof ShredIncomplete,
  )
  if (await isDone) for (const { unlink } of removals) await unlink()
  return commit
}

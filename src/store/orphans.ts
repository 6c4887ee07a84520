import type { BlobStore } from './blobs.ts'

/**
 * Removes the blobs which no record names and resolves to their ids: a crash between a blob and its record leaves them.
 * Call it at start, before anything creates blobs, or it takes those whose record is still to come.
 */
export async function sweepOrphans(
  blobs: BlobStore,
  isReferenced: (id: string) => boolean | Promise<boolean>,
): Promise<string[]> {
  const orphans: string[] = []
  for await (const id of blobs.list()) {
    if (!(await isReferenced(id))) orphans.push(id)
  }
  for (const id of orphans) await blobs.remove(id)
  return orphans
}

import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, syncFolder } from './atomic-file.ts'
import { checkBlobId, isBlobId } from './blobs.ts'
import { fanOutOf, QUARANTINE } from './blob-files.ts'

const aDay = /^\d{4}-\d\d-\d\d$/u

/**
 * Blobs which no record names, set aside under the day on which that was found (`blobs/quarantine/<day>/<id>`, on the disk of the blobs):
 * what a crash between a blob and its record leaves, or all that is left of customers' files where the records are the wrong ones.
 */
export interface Quarantine {
  /** Moves a blob in. */
  take(id: string, day: string): Promise<void>
  /** Moves a blob back among the others; false when it is not here. Call `list` first. */
  giveBack(id: string): Promise<boolean>
  /** Ids by the day on which they came. */
  list(): Promise<ReadonlyMap<string, readonly string[]>>
  /** Deletes what came before that day, and resolves to how many blobs that were. */
  deleteBefore(day: string): Promise<number>
}

/** The quarantine of a folder of blobs; see openDirectoryBlobs. */
export function openQuarantine(blobs: string): Quarantine {
  const folder = join(blobs, QUARANTINE)
  const dayOf = new Map<string, string>()

  async function list(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>()
    for (const day of (await namesIn(folder)).filter(name => aDay.test(name)).toSorted()) {
      const ids = (await namesIn(join(folder, day))).filter(isBlobId)
      for (const id of ids) dayOf.set(id, day)
      found.set(day, ids)
    }
    return found
  }

  return {
    list,
    async take(id, day) {
      checkBlobId(id)
      await mkdir(join(folder, day), { recursive: true, mode: 0o700 })
      await move(join(fanOutOf(blobs, id), id), join(folder, day, id))
      dayOf.set(id, day)
    },
    async giveBack(id) {
      checkBlobId(id)
      const day = dayOf.get(id)
      if (day === undefined) return false
      await mkdir(fanOutOf(blobs, id), { recursive: true, mode: 0o700 })
      await move(join(folder, day, id), join(fanOutOf(blobs, id), id))
      return true
    },
    async deleteBefore(day) {
      let deleted = 0
      for (const [came, ids] of await list()) {
        if (came >= day) continue
        for (const id of ids) await rm(join(folder, came, id), { force: true })
        deleted += ids.length
        // What is no blob stays, and its folder with it.
        await rmdir(join(folder, came)).catch(() => undefined)
      }
      if (deleted > 0) await syncFolder(folder)
      return deleted
    },
  }
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(join(to, '..'))
  await syncFolder(join(from, '..'))
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

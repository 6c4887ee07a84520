import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exists, hasCode, syncFolder } from './atomic-file.ts'
import { checkBlobId, isBlobId } from './blobs.ts'
import { fanOutOf, QUARANTINE } from './blob-files.ts'

/** A day, or a further folder of it: for a blob of whose name one lies there already. */
const aDay = /^(\d{4}-\d\d-\d\d)(\.\d+)?$/u

/**
 * Blobs which no record names, set aside under the day on which that was found (`blobs/quarantine/<day>/<id>`, on the disk of the blobs):
 * what a crash between a blob and its record leaves, or all that is left of customers' files where the records are the wrong ones.
 */
export interface Quarantine {
  /** Moves a blob in. Never in the place of another one. */
  take(id: string, day: string): Promise<void>
  /** Where a blob of this name lies that is the right one, the newest first; undefined when there is none. Call `list` first. */
  find(id: string, isRight: (path: string) => Promise<boolean>): Promise<string | undefined>
  /** Moves the blob that lies there back among the others. */
  giveBack(id: string, path: string): Promise<void>
  /** Ids by the day on which they came. */
  list(): Promise<ReadonlyMap<string, readonly string[]>>
  /** Deletes what came before that day, and resolves to how many blobs that were. */
  deleteBefore(day: string): Promise<number>
}

/** The quarantine of a folder of blobs; see openDirectoryBlobs. */
export function openQuarantine(blobs: string): Quarantine {
  const folder = join(blobs, QUARANTINE)
  /** Where blobs of a name lie, oldest first. */
  const places = new Map<string, string[]>()
  /** Folders whose names are on the disk. */
  const durable = new Set<string>()

  async function list(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>()
    places.clear()
    for (const day of (await namesIn(folder)).filter(name => aDay.test(name)).toSorted()) {
      const ids = (await namesIn(join(folder, day))).filter(isBlobId)
      for (const id of ids) places.set(id, [...(places.get(id) ?? []), join(folder, day, id)])
      found.set(day, ids)
    }
    return found
  }

  /** What is moved into a folder is as safe as the folder's own name. */
  async function make(path: string): Promise<void> {
    if (durable.has(path)) return
    await mkdir(path, { recursive: true, mode: 0o700 })
    for (let above = dirname(path); above.startsWith(blobs); above = dirname(above)) await syncFolder(above)
    durable.add(path)
  }

  return {
    list,
    async take(id, day) {
      checkBlobId(id)
      let free = join(folder, day)
      for (let further = 2; await exists(join(free, id)); further += 1) free = join(folder, `${day}.${further}`)
      await make(free)
      await move(join(fanOutOf(blobs, id), id), join(free, id))
    },
    async find(id, isRight) {
      for (const path of (places.get(id) ?? []).toReversed()) if (await isRight(path)) return path
      return undefined
    },
    async giveBack(id, path) {
      checkBlobId(id)
      await make(fanOutOf(blobs, id))
      await move(path, join(fanOutOf(blobs, id), id))
    },
    async deleteBefore(day) {
      let deleted = 0
      for (const [came, ids] of await list()) {
        if (came.slice(0, day.length) >= day) continue
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

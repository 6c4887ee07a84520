import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exists, hasCode, syncFolder } from './atomic-file.ts'
import { checkBlobId, isBlobId } from './blobs.ts'
import { fanOutOf, QUARANTINE } from './blob-files.ts'

/** A day, or another folder of that day, for a blob whose name is there already. */
const aDay = /^(\d{4}-\d\d-\d\d)(\.\d+)?$/u

/**
 * Blobs without a record, set aside under the day on which they were found (`blobs/quarantine/<day>/<id>`, on the disk of the blobs). A
 * crash between a blob and its record leaves them. With the wrong records they may be all that is left of customers' files.
 */
export interface Quarantine {
  /** Moves a blob in, never over another one. */
  take(id: string, day: string): Promise<void>
  /** The path of the newest blob of this name that is the right one; undefined when there is none. Call `list` first. */
  find(id: string, isRight: (path: string) => Promise<boolean>): Promise<string | undefined>
  /** Moves the blob at this path back into the store. */
  giveBack(id: string, path: string): Promise<void>
  /** Ids by day. */
  list(): Promise<ReadonlyMap<string, readonly string[]>>
  /** Deletes blobs from before that day. Resolves to their number. */
  deleteBefore(day: string): Promise<number>
  /** Deletes these blobs of a day of `list`. */
  delete(day: string, ids: readonly string[]): Promise<void>
}

/** The quarantine of a folder of blobs; see openDirectoryBlobs. */
export function openQuarantine(blobs: string): Quarantine {
  const folder = join(blobs, QUARANTINE)
  /** Paths of the blobs of a name, oldest first. */
  const places = new Map<string, string[]>()
  /** Folders whose names are durable. */
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

  /** Makes the folder's name durable, since the blobs in it depend on it. */
  async function make(path: string): Promise<void> {
    const made = await mkdir(path, { recursive: true, mode: 0o700 })
    if (made === undefined && durable.has(path)) return
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
        await removeFrom(join(folder, came), ids)
        deleted += ids.length
      }
      if (deleted > 0) await syncFolder(folder)
      return deleted
    },
    async delete(day, ids) {
      await removeFrom(join(folder, day), ids)
      await syncFolder(folder)
    },
  }
}

async function removeFrom(folder: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) await rm(join(folder, id), { force: true })
  // Files that are not blobs stay, with their folder.
  await rmdir(folder).catch(() => undefined)
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

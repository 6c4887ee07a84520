import { mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises'
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
  /** Deletes blobs from before that day; what the disk keeps holds up no other. */
  deleteBefore(day: string): Promise<Deleted>
  /** Deletes these blobs of a day of `list`; what the disk keeps holds up no other. */
  delete(day: string, ids: readonly string[]): Promise<Deleted>
}

/** How many blobs were deleted, and the errors for those that the disk keeps. */
export interface Deleted {
  readonly deleted: number
  readonly kept: readonly unknown[]
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
      const ids = (await namesOf(join(folder, day))).filter(isBlobId)
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
      return removeFrom(
        folder,
        [...(await list())].filter(([came]) => came.slice(0, day.length) < day),
      )
    },
    delete: (day, ids) => removeFrom(folder, [[day, ids]]),
  }
}

async function removeFrom(
  folder: string,
  days: readonly (readonly [day: string, ids: readonly string[]])[],
): Promise<Deleted> {
  const kept: unknown[] = []
  for (const [day, ids] of days) {
    for (const id of ids)
      await unlink(join(folder, day, id)).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT')) kept.push(error)
      })
    // Files that are not blobs stay, with their folder.
    await rmdir(join(folder, day)).catch(() => undefined)
  }
  const deleted = days.reduce((sum, [, ids]) => sum + ids.length, 0) - kept.length
  if (deleted > 0) await syncFolder(folder)
  return { deleted, kept }
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(join(to, '..'))
  await syncFolder(join(from, '..'))
}

/** A file that somebody put there under the name of a day has no blobs in it. */
async function namesOf(day: string): Promise<string[]> {
  return namesIn(day).catch((error: unknown) => {
    if (hasCode(error, 'ENOTDIR')) return []
    throw error
  })
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

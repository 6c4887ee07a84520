import { chmod, copyFile, constants, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { hasCode, syncFolder } from './atomic-file.ts'
import { checkBlobId, isBlobId } from './blobs.ts'

/** Longer than the two characters of a fan-out folder, so that they are never taken for one. */
export const INCOMING = 'incoming'
/** The folder for orphans; see quarantine.ts. */
export const QUARANTINE = 'quarantine'
/** On a separate disk this folder belongs to the file system, and often nobody else may look into it. */
export const LOST_AND_FOUND = 'lost+found'
/** Errors for links that are not possible: between two file systems, or on one without links. */
const NO_LINKS = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL']
const AT_ONCE = 64

/** How many characters of an id name its folder. */
export const FAN_OUT = 2

/** The path of the folder of the blob of this id. */
export function fanOutOf(folder: string, id: string): string {
  return join(folder, id.slice(0, FAN_OUT))
}

/** The ids of all blobs in the folder of this id. */
export async function blobsOfFanOut(folder: string, id: string): Promise<string[]> {
  const names = await readdir(fanOutOf(folder, id)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  return names.filter(isBlobId)
}

/** The path of a blob below the folder of a directory store. @throws RangeError for a text that is not an id */
export function blobFile(folder: string, id: string): string {
  checkBlobId(id)
  return join(fanOutOf(folder, id), id)
}

/** All blobs of a directory store, and in `strays` all other files, as paths below it. */
export async function blobFiles(folder: string): Promise<{ ids: string[]; strays: string[] }> {
  const found: { ids: string[]; strays: string[] } = { ids: [], strays: [] }
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if ([INCOMING, QUARANTINE, LOST_AND_FOUND].includes(entry.name)) continue
    if (!entry.isDirectory()) found.strays.push(entry.name)
    else
      for (const file of await readdir(join(folder, entry.name), { withFileTypes: true }))
        if (file.isFile() && isBlobId(file.name) && file.name.slice(0, 2) === entry.name) found.ids.push(file.name)
        else found.strays.push(join(entry.name, file.name))
  }
  return found
}

/** A hard link to a file that is never written again. False where the file systems can't link them. */
export async function linkFile(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (NO_LINKS.some(code => hasCode(error, code))) return false
    throw error
  }
}

/** Copies a file, mode 0600, as a whole or not at all. When it resolves, its bytes are durable, but its name needs `syncFolder`. */
export async function copyWhole(from: string, to: string): Promise<void> {
  const temporary = join(dirname(to), `.${randomUUID()}.tmp`)
  try {
    // Where the file system can share the bytes, it does.
    await copyFile(from, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    await chmod(temporary, 0o600)
    const file = await open(temporary, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, to)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Links all blobs of one folder into another, new one, on the same file system. False where it has no links. */
export async function linkBlobs(from: string, to: string): Promise<boolean> {
  const { ids } = await blobFiles(from)
  await mkdir(to, { mode: 0o700 })
  for (const name of new Set(ids.map(id => id.slice(0, 2)))) await mkdir(join(to, name), { mode: 0o700 })
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE)
    const linked = await Promise.all(some.map(id => linkFile(blobFile(from, id), blobFile(to, id))))
    if (linked.includes(false)) return false
  }
  return true
}

/** Makes the names in a directory store durable. */
export async function syncBlobFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory() && entry.name !== LOST_AND_FOUND) await syncFolder(join(folder, entry.name))
  await syncFolder(folder)
}

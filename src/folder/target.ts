import { chmod, mkdir, readdir, realpath, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { isFolder } from '../base/data-folder.ts'
import { blobFile, blobFiles } from '../store/blob-files.ts'
import { lockFolder, type FolderLock } from '../store/folder-lock.ts'

/** Names that a backup, complete or broken off, leaves in its folder. */
const OURS = /^(backup\.json|blobs|state-.*|lock|lock\.pid|lost\+found|\..*\.tmp)$/

/** Makes the folder of a backup, or uses one that is empty or holds an earlier backup, and locks it for this process. */
export async function openTarget(dataDir: string, target: string): Promise<FolderLock> {
  if (!(await isFolder(target))) await mkdir(target, { recursive: true, mode: 0o700 })
  await mustBeApart(dataDir, target)
  const others = (await readdir(target)).filter(name => !OURS.test(name)).toSorted()
  if (others.length > 0)
    throw new Error(
      `${target} holds something else (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}). Name a folder that is empty, not there yet, or holds an earlier backup of this cloud.`,
    )
  await chmod(target, 0o700)
  const lock = await lockFolder(target)
  await mkdir(join(target, 'blobs'), { recursive: true, mode: 0o700 })
  return lock
}

/** A backup inside of its data folder would be lost with it, and a data folder inside of its backup would be cleaned up. */
async function mustBeApart(dataDir: string, target: string): Promise<void> {
  const [one, other] = [await realpath(dataDir), await realpath(target)]
  const isWithin = (inner: string, outer: string): boolean => !/^\.\.(\/|$)/.test(relative(outer, inner))
  if (isWithin(one, other) || isWithin(other, one))
    throw new Error(
      `A backup needs a folder of its own, best on another disk: ${resolve(target)} and ${resolve(dataDir)} lie in one another.`,
    )
}

/** Removes everything except one state and its blobs. Resolves to the number of removed blobs. */
export async function prune(target: string, state: string, isNamed: (id: string) => boolean): Promise<number> {
  for (const name of await readdir(target))
    if (name.startsWith('state-') && name !== state) await rm(join(target, name), { recursive: true, force: true })
  const folder = join(target, 'blobs')
  const { ids, strays } = await blobFiles(folder)
  const gone = ids.filter(id => !isNamed(id))
  for (const id of gone) await rm(blobFile(folder, id), { force: true })
  // Copies that were broken off.
  for (const path of strays) if (path.endsWith('.tmp')) await rm(join(folder, path), { force: true })
  return gone.length
}

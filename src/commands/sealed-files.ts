import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isFileOf } from '../encryption/blob-records.ts'
import { hasCode } from '../store/atomic-file.ts'
import { LOST_AND_FOUND } from '../store/blob-files.ts'

/** Folders with sealed files. A backup under way holds those that were there when it began. */
const FOLDERS = ['blobs', 'snapshot/blobs']

/** Paths, below the data folder, of a blob's sealed files of any generation. */
export async function sealedFilesOf(dataDir: string, blobId: string): Promise<string[]> {
  const found: string[] = []
  for (const folder of FOLDERS) await find(dataDir, folder, blobId, found)
  return found
}

/** A folder that is removed meanwhile was empty, so the walk goes on with the others. */
async function find(dataDir: string, folder: string, blobId: string, found: string[]): Promise<void> {
  const entries = await readdir(join(dataDir, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  for (const entry of entries)
    if (!entry.isDirectory()) {
      if (isFileOf(entry.name, blobId)) found.push(join(folder, entry.name))
    } else if (entry.name !== LOST_AND_FOUND) await find(dataDir, join(folder, entry.name), blobId, found)
}

import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isFileOf } from './encryption/blob-records.ts'
import { hasCode } from './store/atomic-file.ts'

/** Where sealed files lie: a backup that is under way holds those that were there when it began. */
const FOLDERS = ['blobs', 'snapshot/blobs']

/** Paths below the data folder of a blob's sealed files, of whatever generation. */
export async function sealedFilesOf(dataDir: string, blobId: string): Promise<string[]> {
  const found = FOLDERS.map(async folder => {
    const paths = await readdir(join(dataDir, folder), { recursive: true }).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return []
      throw error
    })
    return paths.filter(path => isFileOf(basename(path), blobId)).map(path => join(folder, path))
  })
  return (await Promise.all(found)).flat()
}

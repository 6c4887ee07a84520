import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isFileOf } from './encryption/blob-records.ts'

/** Paths below the data folder's `blobs` of a blob's sealed files, of whatever generation. */
export async function sealedFilesOf(dataDir: string, blobId: string): Promise<string[]> {
  const paths = await readdir(join(dataDir, 'blobs'), { recursive: true })
  return paths.filter(path => isFileOf(basename(path), blobId))
}

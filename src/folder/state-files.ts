import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '../store/atomic-file.ts'
import { copyWhole } from '../store/blob-files.ts'

/** The records of a cloud. */
export const RECORDS = 'records.db'
/**
 * Files beside the records that are copied with them. Where a cloud runs, they are copied first, so the records may be newer than these
 * files say but never older.
 */
export const BESIDE_RECORDS = ['records.head']
/** What the operator has set in the folder: names of base models, whose weights no backup has. */
export const SETTINGS = ['models.yaml']
/** Secrets that open the folder. A backup has them only on request. */
export const SECRETS = ['root.key', 'ca/ca.pem', 'ca/ca-key.pem', 'ca/server.pem', 'ca/server-key.pem']
/** Below the data folder: records that are being restored. They are moved into place when everything else is there. */
export const RESTORING = 'restoring'
/** Below the data folder: the snapshot of a backup of a running cloud. */
export const SNAPSHOT = 'snapshot'

/** Copies those that exist. Resolves to their names. */
export async function copyPresent(from: string, to: string, names: readonly string[]): Promise<string[]> {
  const copied: string[] = []
  for (const name of names) {
    try {
      await copyWhole(join(from, name), join(to, name))
      copied.push(name)
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
  return copied
}

/** Removes what a killed backup left in the data folder, since its records may have keys that are destroyed meanwhile. Call it at start. */
export async function dropSnapshot(dataDir: string): Promise<void> {
  await rm(join(dataDir, SNAPSHOT), { recursive: true, force: true })
}

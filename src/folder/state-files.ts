import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '../store/atomic-file.ts'
import { copyWhole } from '../store/blob-files.ts'

/** The records of a cloud. */
export const RECORDS = 'records.db'
/**
 * What lies beside the records and is copied with them, before them where a cloud runs: the records may be newer than what these say
 * of them, never older.
 */
export const BESIDE_RECORDS = ['records.head']
/** Secrets that open what lies beside them: only who asks for them gets them into a backup. */
export const SECRETS = ['root.key', 'ca/ca.pem', 'ca/ca-key.pem', 'ca/server.pem', 'ca/server-key.pem']
/** Below the data folder: records that are being restored. They come into their place when all else is there. */
export const RESTORING = 'restoring'
/** Below the data folder: what a backup that is under way takes from a running cloud. */
export const SNAPSHOT = 'snapshot'

/** Copies those that are there. Resolves to their names. */
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

/** What a backup that was killed left in the data folder: records with keys that may be destroyed by now. Call it at start. */
export async function dropSnapshot(dataDir: string): Promise<void> {
  await rm(join(dataDir, SNAPSHOT), { recursive: true, force: true })
}

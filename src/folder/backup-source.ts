import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AdministratorError, connectAdministrator } from './administrator-client.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import { readFolderRecords } from './folder-records.ts'
import { BESIDE_RECORDS, copyPresent, RECORDS, SNAPSHOT } from './state-files.ts'
import type { Snapshot } from './snapshots.ts'
import { byRunningOrStopped } from './stopped-folder.ts'

/** Where a backup comes from. */
export interface BackupSource {
  readonly running: boolean
  /** Where the blobs of its records lie. */
  readonly blobs: string
  /** Copies the records into an existing folder. */
  fetch(to: string): Promise<void>
  /** @throws Error when the copy may not be of one moment */
  confirm(): Promise<void>
  close(): Promise<void>
}

const RENEW_MS = 15_000

/** Asks the running cloud for a snapshot. Where none runs, it keeps one from starting meanwhile. */
export async function openBackupSource(dataDir: string, keys: RootKeys): Promise<BackupSource> {
  return byRunningOrStopped(
    dataDir,
    () => runningSource(dataDir),
    async release => stoppedSource(dataDir, keys, release),
  )
}

function stoppedSource(dataDir: string, keys: RootKeys, release: () => Promise<void>): BackupSource {
  return {
    running: false,
    blobs: join(dataDir, 'blobs'),
    async fetch(to) {
      await copyPresent(dataDir, to, BESIDE_RECORDS)
      const records = await readFolderRecords(dataDir, keys)
      try {
        await records.copyTo(join(to, RECORDS))
      } finally {
        await records.close()
      }
    },
    confirm: async () => {},
    close: release,
  }
}

async function runningSource(dataDir: string): Promise<BackupSource> {
  const client = await connectAdministrator(dataDir)
  const { id, linked } = await client.call<Snapshot>('POST', '/ownkey/backup')
  const renew = (): Promise<unknown> => client.call('POST', `/ownkey/backup/${id}/renew`)
  // `confirm` reports a snapshot that failed.
  const timer = setInterval(() => void renew().catch(() => undefined), RENEW_MS)
  const folder = join(dataDir, SNAPSHOT)
  return {
    running: true,
    blobs: join(linked ? folder : dataDir, 'blobs'),
    async fetch(to) {
      await copyPresent(folder, to, [...BESIDE_RECORDS, RECORDS])
      // Keys that are destroyed from now on must not stay in the data folder.
      await rm(join(folder, RECORDS), { force: true })
    },
    async confirm() {
      await renew().catch((error: unknown) => {
        if (error instanceof AdministratorError && error.code === 'BackupNotFound')
          throw new Error('The cloud gave the backup up, as it heard nothing of it for a minute. Try again.')
        throw error
      })
    },
    async close() {
      clearInterval(timer)
      await client.call('DELETE', `/ownkey/backup/${id}`).catch((error: unknown) => {
        if (!(error instanceof AdministratorError && error.code === 'BackupNotFound')) throw error
      })
    },
  }
}

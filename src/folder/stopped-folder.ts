import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openRootKeys, type RootKeys } from '../encryption/root-key.ts'
import { endpointsFile } from '../base/endpoints.ts'
import { systemEnv } from '../base/env.ts'
import { auditHeadMac, readFolderRecords } from './folder-records.ts'
import { openAuditLog, type AuditLog } from '../store/audit-log.ts'
import { FolderInUse, lockFolder } from '../store/folder-lock.ts'
import type { FileRecords } from '../store/records.ts'

/**
 * Reads a data folder through its running cloud, since only that may open its records. Where none runs, it takes the folder's lock, which
 * `stopped` releases when it is done. @throws Error while a cloud starts or stops there
 */
export async function byRunningOrStopped<T>(
  dataDir: string,
  running: () => Promise<T>,
  stopped: (release: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const lock = await lockFolder(dataDir).catch((error: unknown) => {
    if (error instanceof FolderInUse) return undefined
    throw error
  })
  if (lock === undefined) {
    if (!existsSync(endpointsFile(dataDir)))
      throw new Error(`The cloud in ${dataDir} is starting or stopping. Try again in a moment.`)
    return running()
  }
  try {
    return await stopped(() => lock.release())
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** The root keys of a folder, from its file or `OWNKEY_ROOT_KEY`. @throws Error where there are none */
export function rootKeysOf(dataDir: string): Promise<RootKeys> {
  return openRootKeys({ file: join(dataDir, 'root.key'), fromEnvironment: process.env['OWNKEY_ROOT_KEY'] })
}

/** The records and the audit log, read-only, of a folder whose cloud does not run. */
export async function readStopped(
  dataDir: string,
): Promise<{ readonly rootKeys: RootKeys; readonly records: FileRecords; readonly log: AuditLog }> {
  const rootKeys = await rootKeysOf(dataDir)
  const records = await readFolderRecords(dataDir, rootKeys)
  const log = await openAuditLog(records, systemEnv, { mac: auditHeadMac(rootKeys), isNew: false })
  return { rootKeys, records, log }
}

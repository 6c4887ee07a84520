import { join } from 'node:path'
import { mac } from '../crypto/derive.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import type { AuditLogOptions } from '../store/audit-log.ts'
import { recordAuthenticator, type RecordAuthenticator } from '../store/record-mac.ts'
import type { FileRecords } from '../store/records.ts'
import { openSqliteReader } from '../store/sqlite-reader.ts'
import { openSqliteRecords, type SqliteOptions } from '../store/sqlite-records.ts'

type Keys = Pick<RootKeys, 'mac' | 'records'>

/** The MAC over the head of a folder's audit log. */
export function auditHeadMac({ mac: key }: Keys): NonNullable<AuditLogOptions['mac']> {
  return message => mac(key, 'audit head', message)
}

/** The records of a data folder, each checked against its MAC. The service opens them only this way. */
export function openFolderRecords(
  dataDir: string,
  keys: Keys,
  options: Omit<SqliteOptions, 'authenticator'> = {},
): Promise<FileRecords> {
  return openSqliteRecords(join(dataDir, 'records.db'), {
    ...options,
    authenticator: authenticatorOf(keys),
    keepsReserve: true,
  })
}

/** The same, read-only, for a folder whose cloud does not run. Records that were changed outside are shown. */
export function readFolderRecords(dataDir: string, keys: Keys): Promise<FileRecords> {
  return openSqliteReader(join(dataDir, 'records.db'), { authenticator: authenticatorOf(keys) })
}

function authenticatorOf(keys: Keys): RecordAuthenticator {
  return recordAuthenticator(keys.records, auditHeadMac(keys))
}

import { join } from 'node:path'
import { mac } from './crypto/derive.ts'
import type { RootKeys } from './encryption/root-key.ts'
import type { AuditLogOptions } from './store/audit-log.ts'
import { recordAuthenticator } from './store/record-mac.ts'
import type { RecordStore } from './store/records.ts'
import { openSqliteRecords, type SqliteOptions } from './store/sqlite-records.ts'

type Keys = Pick<RootKeys, 'mac' | 'records'>

/** The MAC over the head of a folder's audit log. */
export function auditHeadMac({ mac: key }: Keys): NonNullable<AuditLogOptions['mac']> {
  return message => mac(key, 'audit head', message)
}

/** The records of a data folder, each held against its MAC. The only way by which the service opens them. */
export function openFolderRecords(
  dataDir: string,
  keys: Keys,
  options: Omit<SqliteOptions, 'authenticator'> = {},
): Promise<RecordStore> {
  const authenticator = recordAuthenticator(keys.records, auditHeadMac(keys))
  const keepsReserve = options.changed !== 'read'
  return openSqliteRecords(join(dataDir, 'records.db'), { ...options, authenticator, keepsReserve })
}

import { verifyRecords } from '../audit/verify-folder.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import { systemEnv } from '../base/env.ts'
import { auditHeadMac, openFolderRecords } from './folder-records.ts'
import { openAuditLog, type AuditLog } from '../store/audit-log.ts'
import type { FileRecords } from '../store/records.ts'

/** The records of a folder in which no cloud runs, all of them as they were written. */
export interface State {
  readonly records: FileRecords
  readonly log: AuditLog
  /** The number of records, without the audit log. */
  readonly count: number
  /** See store/known-head.ts. */
  readonly head: string
}

/**
 * Opens the records of a folder, and checks all of them against their MACs, their set against its head, and the audit log against its chain.
 * @throws Error that says what is not as it was written
 */
export async function openState(folder: string, keys: RootKeys, knownHead?: string): Promise<State> {
  const records = await openFolderRecords(folder, keys)
  try {
    const log = await openAuditLog(records, systemEnv, { mac: auditHeadMac(keys), isNew: false })
    const found = await verifyRecords(records, log, knownHead)
    const chain = await log.verify()
    const [first] = found.tampered
    if (first !== undefined)
      throw new Error(
        `${found.tampered.length} of the records are not as they were written: ${first.collection} ${first.id}. \`ownkey verify\` names them all.`,
      )
    if (found.reason !== undefined) throw new Error(found.reason)
    if (!chain.ok) throw new Error(`The audit log was changed at record ${chain.at}: ${chain.reason}.`)
    return { records, log, count: found.records, head: found.head ?? '' }
  } catch (error) {
    await records.close()
    throw error
  }
}

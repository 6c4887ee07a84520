import type { AuditLog } from '../store/audit-log.ts'
import { everyRecord } from '../store/every-record.ts'
import { leaveOut, type RecordStore } from '../store/records.ts'
import { keyStates } from './key-state.ts'

/**
 * For a start that accepts records that were changed outside: the audit log and the service's log then name each account's key and
 * generation. A key ring that was put back together with everything that belongs to it has no contradiction, so a person has to
 * compare.
 */
export async function recordAcceptedKeyStates(options: {
  readonly records: RecordStore
  readonly audit: Pick<AuditLog, 'append'>
  readonly log: (line: object) => void
}): Promise<void> {
  const { records, audit, log } = options
  const message = 'The key of an account was accepted as the changed records say'
  for await (const { id: accountId, value } of everyRecord(records, keyStates, { onTampered: leaveOut })) {
    const { kekId: keyIdentifier, generation, ownSince, change } = value
    const properties = { accountId, keyIdentifier, generation, ownSince, change }
    log({ level: 'error', message, ...properties })
    await audit.append({
      operationName: 'OwnKey/keyRing/stateAccepted',
      category: 'AuditEvent',
      resultType: 'Success',
      resultDescription: message,
      callerIpAddress: 'service',
      properties,
    })
  }
}

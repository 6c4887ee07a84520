import type { AuditLog } from '../store/audit-log.ts'
import type { RecordsChanged } from '../store/records.ts'
import type { SqliteOptions } from '../store/sqlite-records.ts'

const SERVICE = 'service'
const MOST = 1000

export interface TamperingReport extends Required<Pick<SqliteOptions, 'onTampered' | 'onAccepted'>> {
  /** Whether the operator accepted records that were changed outside. */
  readonly wasAccepted: boolean
  /** From now on it reports to the audit log too, also what was found before. */
  recordIn(audit: Pick<AuditLog, 'append'>): void
}

/** Reports each record that was changed outside once, in the service's log and in the audit log. */
export function openTamperingReport({ log }: { readonly log: (line: object) => void }): TamperingReport {
  const known = new Set<string>()
  const waiting: { readonly operationName: string; readonly description: string; readonly properties: object }[] = []
  let audit: Pick<AuditLog, 'append'> | undefined
  let wasAccepted = false

  function report(operationName: string, description: string, properties: object): void {
    log({ level: 'error', message: description, ...properties })
    waiting.push({ operationName, description, properties })
    write()
  }

  function write(): void {
    if (audit === undefined) return
    for (const { operationName, description, properties } of waiting.splice(0)) {
      audit
        .append({
          operationName,
          category: 'AuditEvent',
          resultType: 'Failed',
          resultDescription: description,
          callerIpAddress: SERVICE,
          properties,
        })
        .catch((error: unknown) =>
          log({ level: 'error', message: 'A changed record could not be recorded', error: String(error) }),
        )
    }
  }

  return {
    onTampered(collection, id) {
      const key = `${collection}\0${id}`
      if (known.has(key) || known.size >= MOST) return
      known.add(key)
      report('OwnKey/records/tampered', 'A record was changed outside this service and is not used', { collection, id })
    },
    get wasAccepted() {
      return wasAccepted
    },
    onAccepted(changed: RecordsChanged) {
      wasAccepted = true
      const message = 'Records that were changed outside this service were accepted by its operator'
      report('OwnKey/records/accepted', message, { collections: changed.collections })
    },
    recordIn(log) {
      audit = log
      write()
    },
  }
}

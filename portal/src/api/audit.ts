import { config } from './config.ts'
import { call } from './http.ts'

/** One record of the audit log, as diagnostic settings export it. */
export interface AuditEntry {
  readonly time: string
  readonly operationName: string
  readonly resourceId?: string
  readonly resultType: string
  readonly resultSignature?: string
  readonly resultDescription?: string
  readonly callerIpAddress?: string
  readonly correlationId?: string
  readonly identity?: { readonly claim?: Readonly<Record<string, string>> }
  readonly properties?: Readonly<Record<string, unknown>>
}

export interface AuditRecord {
  readonly sequence: number
  readonly entry: AuditEntry
  /** Name of the caller, for people. */
  readonly who: string
}

interface AuditPage {
  readonly records: readonly { readonly sequence: number; readonly entry: AuditEntry }[]
  readonly names: Readonly<Record<string, string>>
}

/** How many records are read; `ownkey audit` has older ones. */
export const AUDIT_LIMIT = 1000

/** The newest records about one resource and what lies in it. Only the administrator of the cloud may read them. */
export async function auditOf(resourceId: string, vault?: string): Promise<AuditRecord[]> {
  const query = `newestFirst=true&limit=${AUDIT_LIMIT}${vault === undefined ? '' : `&vault=${vault}`}`
  const url = `${config().resourceManager}/ownkey/audit?${query}`
  const { records, names } = await call<AuditPage>(url, { scope: 'management' })
  const prefix = resourceId.toUpperCase()
  const isWithin = (id = ''): boolean => id.toUpperCase() === prefix || id.toUpperCase().startsWith(`${prefix}/`)
  return records
    .filter(({ entry }) => isWithin(entry.resourceId))
    .map(record => ({ ...record, who: whoOf(record.entry, names) }))
}

function whoOf(entry: AuditEntry, names: Readonly<Record<string, string>>): string {
  const claim = entry.identity?.claim
  if (claim === undefined) return entry.callerIpAddress === 'service' ? 'the service' : 'not signed in'
  const id = claim['oid'] ?? claim['http://schemas.microsoft.com/identity/claims/objectidentifier'] ?? ''
  return names[id] ?? (id === '' ? (claim['authenticationType'] ?? 'API key') : id)
}

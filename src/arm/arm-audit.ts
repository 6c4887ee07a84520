import type { NewAuditEntry } from '../store/audit-entry.ts'

/** R05: what was changed in Resource Manager; who and from where is added by the audit of requests. */
export function armAudit(operationName: string, resourceId: string, properties?: object): NewAuditEntry {
  return {
    category: 'AuditEvent',
    operationName,
    resourceId: resourceId.toUpperCase(),
    resultType: 'Success',
    ...(properties === undefined ? {} : { properties }),
  }
}

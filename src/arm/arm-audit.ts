import type { NewAuditEntry } from '../store/audit-entry.ts'

/** R05: a change in Resource Manager. The audit of requests adds who made it and from where. */
export function armAudit(operationName: string, resourceId: string, properties?: object): NewAuditEntry {
  return {
    category: 'AuditEvent',
    operationName,
    resourceId: resourceId.toUpperCase(),
    resultType: 'Success',
    ...(properties === undefined ? {} : { properties }),
  }
}

export interface AuditEntry {
  /** ISO 8601, UTC. */
  readonly time: string
  readonly operationName: string
  /** The api-version that the client asked for. */
  readonly operationVersion?: string
  readonly category: string
  readonly resourceId?: string
  readonly resultType: 'Success' | 'Failed'
  readonly resultSignature?: string
  readonly resultDescription?: string
  readonly durationMs?: number
  readonly callerIpAddress?: string
  readonly correlationId?: string
  readonly identity?: object
  readonly properties?: object
}

/** An entry without a time gets the current one. */
export type NewAuditEntry = Omit<AuditEntry, 'time'> & { readonly time?: string }

import type { Call } from '../http/route.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { NewAuditEntry } from '../store/audit-entry.ts'
import { requestUri } from './request-uri.ts'

/** Where audit records go: entry and changes are durable together when the promise resolves. */
export type AuditSink = Pick<AuditLog, 'append'>

export interface AuditSubject {
  readonly operationName: string
  readonly resourceId: string
  /** `kid` or resource id of what was touched, when known. */
  readonly id?: string | undefined
  readonly status: number
  /** Why it was refused. */
  readonly description?: string
  readonly durationMs: number
  readonly properties?: Readonly<Record<string, unknown>>
}

/** The value of `callerIpAddress` where no client asked: the service's own connection, a job, maintenance. */
export const SERVICE = 'service'

const SIGNATURES: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'NoContent',
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  412: 'PreconditionFailed',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  429: 'TooManyRequests',
  499: 'ClientClosedRequest',
  503: 'ServiceUnavailable',
  507: 'InsufficientStorage',
}

/** A record of the category AuditEvent, with Azure's fields (Key Vault logging). R05: who, what, when, from where, duration and result. */
export function auditEvent(call: Call, now: number, subject: AuditSubject): NewAuditEntry {
  const { operationName, resourceId, id, status, description = '', durationMs, properties } = subject
  const version = call.query.get('api-version')
  const claim = claimsOf(call)
  return {
    time: new Date(now).toISOString(),
    operationName,
    ...(version === undefined ? {} : { operationVersion: version.slice(0, 32) }),
    category: 'AuditEvent',
    resourceId: resourceId.toUpperCase(),
    resultType: status < 400 ? 'Success' : 'Failed',
    resultSignature: signatureOf(status),
    resultDescription: description.slice(0, 1000),
    durationMs: Math.round(durationMs),
    callerIpAddress: call.peer,
    correlationId: call.requestId,
    ...(claim === undefined ? {} : { identity: { claim } }),
    properties: {
      clientInfo: (call.headers.get('user-agent') ?? '').slice(0, 256),
      requestUri: requestUri(call.url.href),
      ...(id === undefined ? {} : { id }),
      httpStatusCode: status,
      ...properties,
    },
  }
}

/** An event of the vault's own: a rotation, a purge at the end of the retention period, a notice. */
export function systemEvent(
  now: number,
  correlationId: string,
  subject: Pick<AuditSubject, 'operationName' | 'resourceId' | 'id' | 'properties'>,
): NewAuditEntry {
  const { operationName, resourceId, id, properties } = subject
  return {
    time: new Date(now).toISOString(),
    operationName,
    category: 'AuditEvent',
    resourceId: resourceId.toUpperCase(),
    resultType: 'Success',
    resultSignature: 'OK',
    resultDescription: '',
    durationMs: 0,
    callerIpAddress: SERVICE,
    correlationId,
    properties: { ...(id === undefined ? {} : { id }), ...properties },
  }
}

/** Azure's word for a status. */
export function signatureOf(status: number): string {
  return SIGNATURES[status] ?? (status < 400 ? 'OK' : status < 500 ? 'BadRequest' : 'InternalServerError')
}

const CLAIM = 'http://schemas.microsoft.com/identity/claims/objectidentifier'

function claimsOf(call: Call): Record<string, string> | undefined {
  if (call.caller.type === 'key') return { authenticationType: 'ApiKey' }
  if (call.caller.type !== 'principal') return undefined
  const { objectId, appId, tenantId, claims } = call.caller
  const upn = claims['upn']
  return {
    [CLAIM]: objectId,
    'http://schemas.microsoft.com/identity/claims/tenantid': tenantId,
    appid: appId,
    ...(typeof upn === 'string' ? { 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn': upn } : {}),
  }
}

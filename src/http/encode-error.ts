import { z } from 'zod'
import type { ErrorCode } from './error-codes.ts'
import { AzureError } from './errors.ts'
import type { HostName } from './route.ts'
import { json } from './respond.ts'

export interface ErrorContext {
  readonly host: HostName
  /** The path as the client sent it: the login host also serves Microsoft Graph, which has its own form of errors. */
  readonly path: string
  readonly requestId: string
  /** The client's own id of this request, if it sent one. */
  readonly clientRequestId?: string | undefined
  /** Milliseconds since 1970. */
  readonly now: number
}

/** The one place where an error becomes a response. An unexpected error gives its request id and nothing else. */
export function encodeError(error: unknown, context: ErrorContext): Response {
  const known = error instanceof AzureError ? error : unforeseen(context)
  const headers: Record<string, string> = { ...known.options.headers }
  const speaksGraph = context.host === 'login' && /^\/+v1\.0(\/|$)/i.test(context.path)
  const speaksOAuth = isOAuth(context.host) && !speaksGraph
  if (known.status === 401 && !hasHeader(headers, 'www-authenticate') && !speaksOAuth) {
    headers['www-authenticate'] = 'Bearer'
  }
  const options = { status: known.status, headers }
  if (speaksOAuth) return json(loginError(known, context), options)
  if (speaksGraph) return json({ error: graphError(known, context) }, options)
  if (context.host === 'openai') {
    // The official clients retry 409 by themselves, but repeating does not help against a refusal or a conflict.
    if (known.status === 403 || known.status === 409) headers['x-should-retry'] = 'false'
    return json({ error: openAiError(known) }, options)
  }
  headers['x-ms-error-code'] = known.code
  return json({ error: azureError(known) }, options)
}

/** The code that each plane uses to refuse a body that does not fit its schema. */
export function badBodyCode(host: HostName): ErrorCode {
  if (host === 'vault') return 'BadParameter'
  if (host === 'openai') return 'invalidPayload'
  return isOAuth(host) ? 'invalid_request' : 'InvalidRequestContent'
}

/** 400 with the path of every field that does not fit, at most 20 of them. */
export function fieldErrors(host: HostName, error: z.ZodError): AzureError {
  const code = badBodyCode(host)
  const details = error.issues.slice(0, 20).map(issue => {
    const target = issue.path.map(String).join('.')
    return { code, message: inPlainWords(issue.message), target }
  })
  const first = details[0]
  const where = first?.target ? `The field '${first.target}' does not fit` : 'The request body does not fit'
  const message = `${where}: ${first?.message ?? 'unknown reason'}.`.replace(/\.\.$/, '.')
  return new AzureError(code, 400, message, {
    ...(first?.target ? { target: first.target } : {}),
    ...(details.length > 1 ? { details } : {}),
  })
}

/** The schema library's own messages use JavaScript's terms, so these replace them. */
function inPlainWords(message: string): string {
  const [, expected, received] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? []
  if (expected === undefined) return message
  return received === 'undefined'
    ? `it is missing, a value of type ${expected} is needed`
    : `it must be a value of type ${expected}, not ${received}`
}

/** Planes whose errors are those of RFC 6749 5.2. */
function isOAuth(host: HostName): boolean {
  return host === 'login' || host === 'metadata'
}

function unforeseen(context: ErrorContext): AzureError {
  const message = `The service failed unexpectedly. Look for request ${context.requestId} in its log.`
  return new AzureError(isOAuth(context.host) ? 'server_error' : 'InternalServerError', 500, message)
}

function azureError(error: AzureError): object {
  const { target, details, innererror } = error.options
  return { code: error.code, message: error.message, target, details, innererror }
}

function openAiError(error: AzureError): object {
  const { target, details, innererror } = error.options
  return {
    message: error.message,
    type: openAiType(error.status),
    param: target ?? null,
    code: error.code,
    details,
    innererror,
  }
}

function openAiType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** Microsoft Graph's error: https://learn.microsoft.com/graph/errors. */
function graphError(error: AzureError, { requestId, clientRequestId, now }: ErrorContext): object {
  const innerError = {
    date: new Date(now).toISOString().slice(0, 19),
    'request-id': requestId,
    'client-request-id': clientRequestId ?? requestId,
  }
  return { code: error.code, message: error.message, innerError }
}

function loginError(error: AzureError, context: ErrorContext): object {
  const number = /^AADSTS(\d+)/.exec(error.message)?.[1]
  const timestamp = `${new Date(context.now).toISOString().slice(0, 19).replace('T', ' ')}Z`
  const correlation = context.clientRequestId ?? context.requestId
  return {
    // RFC 6749 5.2 does not have our other codes, so what HTTP itself refuses is an invalid request.
    error: /^[a-z_]+$/.test(error.code) ? error.code : 'invalid_request',
    error_description: `${error.message} Trace ID: ${context.requestId} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
    error_codes: number === undefined ? [] : [Number(number)],
    timestamp,
    trace_id: context.requestId,
    correlation_id: correlation,
  }
}

function hasHeader(headers: Record<string, string>, name: string): boolean {
  return Object.keys(headers).some(key => key.toLowerCase() === name)
}

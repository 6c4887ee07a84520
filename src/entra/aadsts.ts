import { AzureError } from '../http/errors.ts'

type LoginError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'interaction_required'
  | 'login_required'
  | 'invalid_scope'
  | 'invalid_resource'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'authorization_pending'
  | 'authorization_declined'
  | 'expired_token'
  | 'bad_verification_code'
  | 'temporarily_unavailable'

/** An error as Entra words it: the OAuth code of RFC 6749 5.2 and `AADSTS<number>: …`, which clients show to people. */
export function loginError(
  code: LoginError,
  number: number,
  message: string,
  options: { readonly status?: number; readonly retryAfter?: number } = {},
): AzureError {
  const status = options.status ?? (code === 'invalid_client' ? 401 : 400)
  const headers = options.retryAfter === undefined ? {} : { 'retry-after': String(options.retryAfter) }
  return new AzureError(code, status, `AADSTS${number}: ${message}`, { headers })
}

export function tenantNotFound(tenant: string): AzureError {
  const message = `Tenant '${tenant.slice(0, 64)}' not found. Check the tenant id; endpoints.json of this service names it.`
  return loginError('invalid_request', 90002, message)
}

export function missingParameter(name: string): AzureError {
  return loginError('invalid_request', 900144, `The request body must contain the following parameter: '${name}'.`)
}

export function applicationNotFound(appId: string, tenantId: string): AzureError {
  const message = `Application with identifier '${appId.slice(0, 64)}' was not found in the directory '${tenantId}'.`
  return loginError('unauthorized_client', 700016, message)
}

export function resourceNotFound(resource: string, tenantId: string): AzureError {
  const message = `The resource principal named ${resource.slice(0, 200)} was not found in the tenant named ${tenantId}.`
  return loginError('invalid_resource', 500011, message)
}

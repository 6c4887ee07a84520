import type { SignInCode } from '../http/error-codes.ts'
import { AzureError } from '../http/errors.ts'

/** Every AADSTS number that this service returns, with the case in which it does; part of `docs/errors.md`. */
export const AADSTS = {
  28000: 'the scope names several resources',
  50011: 'the redirect URI is not registered for the application',
  50020: 'the account is of another tenant',
  50027: 'the client assertion is not a JSON Web Token',
  50053: 'too many failed logins under this name',
  50055: 'the password must be changed first, in a browser',
  50057: 'the user account is disabled',
  50058: 'nobody is signed in, and prompt=none forbids the page',
  50076: 'the person has to agree on a page, and prompt=none forbids it',
  50126: 'wrong user name or password',
  50166: "the keys of the issuer of the assertion can't be read",
  50173: 'the password was changed after the grant was given',
  50196: 'too many devices wait for their sign-in',
  65004: 'the person declined on the page of the sign-in',
  70003: 'the grant type is not known, or the cloud takes no passwords from applications',
  70008: "the authorization code has expired, was used before, or is another client's",
  70011: 'the scope is too long',
  70016: 'nobody has answered for the device code yet',
  70018: 'the person declined to sign the device in',
  70019: 'the device code is not known, or was used before',
  70020: 'the device code has expired',
  70021: 'no federated credential of the application fits the assertion',
  90002: 'there is no such tenant',
  90013: 'secret and assertion came together; or the page of the sign-in has expired',
  90014: 'response_mode is not known',
  90015: 'a parameter is too long',
  90023: 'client_assertion_type is not known',
  90033: 'too many logins at a time',
  500011: 'the tenant has no such service or application to ask a token for',
  500112: 'the redirect URI is another than the code was asked for with',
  501481: 'code_verifier does not fit code_challenge',
  700016: 'the tenant has no such application',
  700023: 'the client assertion is for another audience',
  700024: 'the client assertion is not within its time, or lasts too long',
  700025: 'a public client sent a secret or an assertion',
  700027: 'the signature or the certificate of the client assertion does not fit',
  700051: 'response_type is not code',
  700082: 'the refresh token has expired, was used or revoked, or is for another client',
  900144: 'a parameter of the body is missing',
  1000502: 'the certificate is not within its validity period',
  1002012: 'client credentials need a scope that ends in /.default',
  7000112: 'the application is disabled',
  7000215: 'wrong client secret',
  7000218: 'the client has to prove itself with a secret or an assertion',
  7000222: 'the client secrets have expired',
  9000411: 'a parameter is there twice',
  9002019: 'the Authorization header is malformed',
  9002325: 'PKCE is required, with the method S256',
  9002326: 'a page redeems what was not asked for by a page',
  9002327: 'what was asked for by a page is redeemed by something else',
} as const

export type AadstsNumber = keyof typeof AADSTS

/** The prefix of Entra's messages. */
export function aadsts(number: AadstsNumber, message: string): string {
  return `AADSTS${number}: ${message}`
}

/** An error in Entra's form: the OAuth code of RFC 6749 5.2 and `AADSTS<number>: …`, which clients show to people. */
export function loginError(
  code: SignInCode,
  number: AadstsNumber,
  message: string,
  options: { readonly status?: number; readonly retryAfter?: number } = {},
): AzureError {
  const status = options.status ?? (code === 'invalid_client' ? 401 : 400)
  const headers = options.retryAfter === undefined ? {} : { 'retry-after': String(options.retryAfter) }
  return new AzureError(code, status, aadsts(number, message), { headers })
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

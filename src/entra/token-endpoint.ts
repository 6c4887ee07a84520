import { noteOperation } from '../audit/request-context.ts'
import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { loginError, missingParameter, resourceNotFound } from './aadsts.ts'
import type { ClientLogins } from './applications.ts'
import { audienceOf, resourceOfScope } from './audiences.ts'
import type { FindTenant } from './discovery.ts'
import { readForm } from './form.ts'
import { tokenSeconds, type Tokens } from './tokens.ts'
import type { UserGrants } from './user-grants.ts'

const maxForm = 16_384
const reason = 'the token endpoint is where callers prove who they are'

export interface TokenEndpoint {
  readonly findTenant: FindTenant
  readonly logins: ClientLogins
  readonly userGrants: UserGrants
  readonly tokens: Tokens
  readonly domain: string
}

/** The v2 endpoint (`scope`) and the v1 endpoint (`resource`); under `/adfs` only the latter exists, and clients send either there. */
export function tokenRoutes(endpoint: TokenEndpoint): Route[] {
  const paths = ['/:tenant/oauth2/v2.0/token', '/:tenant/oauth2/token']
  return paths.map(path => ({
    host: 'login',
    method: 'POST',
    path,
    auth: 'none',
    reason,
    maxBody: maxForm,
    handler: async call => answer(endpoint, call, path.includes('v2.0')),
  }))
}

async function answer(endpoint: TokenEndpoint, call: Call, isV2: boolean): Promise<Response> {
  // `adfs` names no tenant: there it is found from the client id.
  noteOperation({ operationName: 'SignIn' })
  const tenantId = await endpoint.findTenant(call.params['tenant'] ?? '')
  if (tenantId !== undefined) noteOperation({ resourceId: `/tenants/${tenantId}` })
  const form = await readForm(call)
  const grant = form.get('grant_type')
  if (grant === null) throw missingParameter('grant_type')
  if (endpoint.userGrants.takes(grant)) {
    return json(await endpoint.userGrants.answer(call, form, tenantId), { headers: noCache })
  }
  checkGrant(grant)
  const { clientId, clientSecret } = credentials(call, form)
  const resource = requestedResource(form, isV2)
  noteOperation({ properties: { clientId: clientId.slice(0, 64), resource: resource.slice(0, 256) } })
  if (audienceOf(resource, endpoint.domain) === undefined) throw resourceNotFound(resource, tenantId ?? 'of this cloud')
  const principal = await endpoint.logins.login(tenantId, clientId, clientSecret, call.peer)
  noteOperation({ resourceId: `/tenants/${principal.tenantId}`, properties: { objectId: principal.objectId } })
  const { token, expiresAt } = await endpoint.tokens.issue(principal, resource.replace(/\/+$/, ''))
  const body = { token_type: 'Bearer', expires_in: tokenSeconds, ext_expires_in: tokenSeconds, access_token: token }
  if (isV2) return json(body, { headers: noCache })
  const expires = Math.floor(expiresAt / 1000)
  const v1 = {
    token_type: 'Bearer',
    expires_in: String(tokenSeconds),
    ext_expires_in: String(tokenSeconds),
    expires_on: String(expires),
    not_before: String(expires - tokenSeconds),
    resource,
    access_token: token,
  }
  return json(v1, { headers: noCache })
}

const noCache = { 'cache-control': 'no-store', pragma: 'no-cache' }

function checkGrant(grant: string): void {
  if (grant === 'client_credentials') return
  const message = `The app requested an unsupported grant type '${grant.slice(0, 64)}': this service takes client_credentials, authorization_code and refresh_token.`
  throw loginError('unsupported_grant_type', 70003, message)
}

/** From the form, or from an `Authorization: Basic` header (RFC 6749 2.3.1). */
function credentials(call: Call, form: URLSearchParams): { clientId: string; clientSecret: string } {
  const basic = /^basic +([\w+/-]+=*) *$/i.exec(call.headers.get('authorization') ?? '')?.[1]
  const [basicId, basicSecret] = basic === undefined ? [] : basicParts(basic)
  const clientId = form.get('client_id') ?? basicId
  if (!clientId) throw missingParameter('client_id')
  const clientSecret = form.get('client_secret') ?? basicSecret
  if (clientSecret) return { clientId, clientSecret }
  const message = "The request body must contain the following parameter: 'client_secret'."
  throw loginError('invalid_client', 7000218, message)
}

function basicParts(encoded: string): string[] {
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  try {
    return [decoded.slice(0, colon), decoded.slice(colon + 1)].map(decodeURIComponent)
  } catch (error) {
    throw new AzureError('invalid_request', 400, 'AADSTS9002019: The Authorization header is malformed.', {
      cause: error,
    })
  }
}

function requestedResource(form: URLSearchParams, isV2: boolean): string {
  const resource = form.get('resource')
  if (!isV2 && resource) return resource
  const scope = form.get('scope')
  if (!scope) throw missingParameter(isV2 ? 'scope' : 'resource')
  const named = resourceOfScope(scope)
  if (named) return named
  const message =
    `The provided value for scope ${scope.slice(0, 200)} is not valid. ` +
    'Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).'
  throw loginError('invalid_scope', 1002012, message)
}

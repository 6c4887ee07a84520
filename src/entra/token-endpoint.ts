import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { RecordStore } from '../store/records.ts'
import { loginError, missingParameter } from './aadsts.ts'
import { enabledPrincipal } from './applications.ts'
import { resourceOfScope } from './audiences.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import { isAdfs, type FindTenant } from './discovery.ts'
import { readForm } from './form.ts'
import { pageOrigins } from './redirect-uris.ts'
import type { FindResource } from './resources.ts'
import { tokenSeconds, type Tokens } from './tokens.ts'
import type { Asker, UserGrants } from './user-grants.ts'

const maxForm = 65_536
const reason = 'the token endpoint is where callers prove who they are'

export interface TokenEndpoint {
  readonly records: RecordStore
  readonly findTenant: FindTenant
  readonly findResource: FindResource
  readonly authentication: ClientAuthentication
  readonly userGrants: UserGrants
  readonly tokens: Tokens
}

/** The v2 endpoint (`scope`) and the v1 endpoint (`resource`). Under `/adfs` only the latter exists, and clients send either there. */
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
  // `adfs` does not name a tenant, so it is found from the client id.
  noteOperation({ operationName: 'SignIn' })
  const tenantId = await endpoint.findTenant(call.params['tenant'] ?? '')
  if (tenantId !== undefined) noteOperation({ resourceId: `/tenants/${tenantId}` })
  const form = await readForm(call)
  const grant = form.get('grant_type')
  if (grant === null) throw missingParameter('grant_type')
  const isUsers = endpoint.userGrants.takes(grant)
  if (!isUsers) checkGrant(grant)
  const resource = isUsers ? '' : requestedResource(form, isV2)
  noteOperation({ properties: { clientId: (form.get('client_id') ?? '').slice(0, 64) } })
  const { client, proof } = await endpoint.authentication.authenticate(call, form, tenantId)
  const asker: Asker = { call, form, tenantId, client, proof }
  const body = isUsers
    ? await endpoint.userGrants.answer(asker, isV2)
    : await ownToken(endpoint, asker, { resource, isV2 })
  const origin = call.headers.get('origin')
  // The edge knows only the portal's origin. Origins of other applications are known here.
  const isPage = origin !== null && pageOrigins(client.redirectUris).includes(origin)
  return json(isAdfs(call.params['tenant']) ? inNumbers(body) : body, {
    headers: isPage ? { ...noCache, 'access-control-allow-origin': origin, vary: 'origin' } : noCache,
  })
}

/** AD FS returns numbers (RFC 6749 5.1) where the v1 endpoint has strings, since az 2.45 adds them up. */
function inNumbers(body: object): object {
  const given = body as Readonly<Record<string, unknown>>
  const seconds = ['expires_in', 'ext_expires_in'].filter(name => name in given)
  return { ...given, ...Object.fromEntries(seconds.map(name => [name, Number(given[name])])) }
}

const noCache = { 'cache-control': 'no-store', pragma: 'no-cache' }

/** The client's own token (RFC 6749 4.4). */
async function ownToken(
  { records, findResource, tokens }: TokenEndpoint,
  { call, client, proof }: Asker,
  { resource, isV2 }: { readonly resource: string; readonly isV2: boolean },
): Promise<object> {
  const { application } = client
  noteOperation({ properties: { resource: resource.slice(0, 256), grantType: 'client_credentials', proof } })
  if (application === undefined || proof === 'none') {
    const message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    throw loginError('invalid_client', 7_000_218, message)
  }
  const { audience, version } = await findResource(resource, application.value.tenantId)
  const principal = await enabledPrincipal(records, application.value)
  noteOperation({ resourceId: `/tenants/${principal.tenantId}`, properties: { objectId: principal.objectId } })
  const issuer = `${call.origin}/${principal.tenantId}/v2.0`
  const { token, expiresAt } = await tokens.issue(principal, audience, { proof, ...(version === 2 ? { issuer } : {}) })
  const expires = Math.floor(expiresAt / 1000)
  const common = { token_type: 'Bearer', access_token: token }
  if (isV2) return { ...common, expires_in: tokenSeconds, ext_expires_in: tokenSeconds }
  return {
    ...common,
    expires_in: String(tokenSeconds),
    ext_expires_in: String(tokenSeconds),
    expires_on: String(expires),
    not_before: String(expires - tokenSeconds),
    resource,
  }
}

function checkGrant(grant: string): void {
  if (grant === 'client_credentials') return
  const message = `The app requested an unsupported grant type '${grant.slice(0, 64)}': this service takes client_credentials, authorization_code, device_code, refresh_token and password.`
  throw loginError('unsupported_grant_type', 70_003, message)
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

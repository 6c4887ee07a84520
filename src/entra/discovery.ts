import { json } from '../http/respond.ts'
import type { Call, Handler, Route } from '../http/route.ts'
import { tenantNotFound } from './aadsts.ts'
import { issuerOf } from './claims.ts'
import type { SigningKeys } from './signing-keys.ts'

/** Whether a path names AD FS in place of a tenant. */
export function isAdfs(tenant: string | undefined): boolean {
  return tenant?.toLowerCase() === 'adfs'
}

/** The id of a tenant named in a path; undefined for `adfs`, which stands for the client's own. @throws AADSTS90002 */
export type FindTenant = (name: string) => Promise<string | undefined>

const reason = 'public metadata that clients read before they log in'

/** OpenID discovery, the public keys, and the instance discovery that clients do before they trust a login host. */
export function discoveryRoutes(findTenant: FindTenant, keys: SigningKeys): Route[] {
  const get = (path: string, handler: Handler): Route => ({
    host: 'login',
    method: 'GET',
    path,
    auth: 'none',
    reason,
    maxBody: 0,
    handler,
  })
  const jwks: Handler = async call => {
    await findTenant(call.params['tenant'] ?? 'common')
    return json(keys.jwks(), cacheable)
  }
  return [
    get('/:tenant/v2.0/.well-known/openid-configuration', async call => configuration(call, findTenant, true)),
    get('/:tenant/.well-known/openid-configuration', async call => configuration(call, findTenant, false)),
    get('/:tenant/discovery/v2.0/keys', jwks),
    get('/:tenant/discovery/keys', jwks),
    get('/common/discovery/instance', call => instance(call)),
    // Clients ask this before they send a name and a password. The answer is the same for names that don't exist.
    get('/common/userrealm/:user', call => userRealm(call)),
  ]
}

/** Public, so pages of every origin may read them. */
const cacheable = { headers: { 'cache-control': 'max-age=300', 'access-control-allow-origin': '*' } }

async function configuration(call: Call, findTenant: FindTenant, isV2: boolean): Promise<Response> {
  const name = call.params['tenant'] ?? ''
  const tenantId = await findTenant(name)
  const base = `${call.origin}/${tenantId ?? name.toLowerCase()}`
  const version = isV2 ? '/v2.0' : ''
  return json(
    {
      // The clients refuse an issuer of another scheme, host or port than the authority's.
      issuer: isV2 || tenantId === undefined ? `${base}${version}` : issuerOf(tenantId),
      authorization_endpoint: `${base}/oauth2${version}/authorize`,
      token_endpoint: `${base}/oauth2${version}/token`,
      end_session_endpoint: `${base}/oauth2${version}/logout`,
      jwks_uri: `${base}/discovery${version}/keys`,
      device_authorization_endpoint: `${base}/oauth2${version}/devicecode`,
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment', 'form_post'],
      grant_types_supported: [
        'authorization_code',
        'client_credentials',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
      code_challenge_methods_supported: ['S256'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'private_key_jwt', 'none'],
      token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256'],
      scopes_supported: ['openid', 'profile', 'offline_access'],
      claims_supported: [
        'aud',
        'iss',
        'iat',
        'nbf',
        'exp',
        'appid',
        'name',
        'nonce',
        'oid',
        'preferred_username',
        'sub',
        'tid',
        'ver',
      ],
      tenant_region_scope: null,
    },
    cacheable,
  )
}

function userRealm(call: Call): Response {
  const name = (call.params['user'] ?? '').slice(0, 256)
  const domain = name.slice(name.indexOf('@') + 1)
  const cloud = { cloud_instance_name: new URL(call.origin).host, cloud_audience_urn: 'urn:federation:MicrosoftOnline' }
  return json({ ver: '1.0', account_type: 'Managed', domain_name: domain, ...cloud })
}

function instance(call: Call): Response {
  const host = new URL(call.origin).host
  const asked = URL.parse(call.query.get('authorization_endpoint') ?? '')
  if (asked?.host !== host) throw tenantNotFound(asked?.host ?? 'of no authorization_endpoint')
  const tenant = asked.pathname.split('/')[1] ?? 'common'
  return json({
    tenant_discovery_endpoint: `${call.origin}/${encodeURIComponent(tenant)}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  })
}

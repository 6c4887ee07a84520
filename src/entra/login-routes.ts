import type { Route } from '../http/route.ts'
import { clientLogins } from './applications.ts'
import { authorizeRoutes } from './authorize.ts'
import { issuerOf } from './claims.ts'
import { clientAuthentication } from './client-authentication.ts'
import { openClients } from './clients.ts'
import { Codes } from './codes.ts'
import { DeviceCodes } from './device-codes.ts'
import { deviceRoutes } from './device-routes.ts'
import { discoveryRoutes } from './discovery.ts'
import { openIssuerKeys } from './issuer-keys.ts'
import type { EntraOptions } from './entra-options.ts'
import { RefreshTokens } from './refresh-tokens.ts'
import { resourceFinder } from './resources.ts'
import { openSessions } from './sessions.ts'
import { signInRoute, type SignInOptions } from './sign-in.ts'
import type { SigningKeys } from './signing-keys.ts'
import { tenantFinder } from './tenants.ts'
import { tokenRoutes } from './token-endpoint.ts'
import type { Tokens } from './tokens.ts'
import { userGrants } from './user-grants.ts'
import { userTokens } from './user-tokens.ts'
import type { Users } from './users.ts'

/** The routes with which people and applications log in. */
export function loginRoutes(
  options: EntraOptions,
  { users, tokens, keys }: { readonly users: Users; readonly tokens: Tokens; readonly keys: SigningKeys },
): Route[] {
  const { records, env, domain } = options
  const findTenant = tenantFinder(records)
  const findResource = resourceFinder(records, domain)
  const clients = openClients(records, options.portal)
  const issuerKeys = openIssuerKeys({
    env,
    ownKeys: issuer => (isOwnIssuer(issuer, options) ? { keys: [...keys.jwks().keys] } : undefined),
    named: options.federatedIssuers,
    log: options.log,
  })
  const authentication = clientAuthentication({ env, clients, logins: clientLogins(env), issuerKeys })
  const refreshTokens = new RefreshTokens(options)
  const signIn: SignInOptions = {
    env,
    findTenant,
    clients,
    users,
    sessions: openSessions(options),
    codes: new Codes(options),
    deviceCodes: new DeviceCodes(options),
  }
  const grants = userGrants({
    ...signIn,
    refreshTokens,
    userTokens: userTokens({ tokens, refreshTokens, findResource }),
    allowPasswordGrant: options.allowPasswordGrant ?? false,
  })
  return [
    ...discoveryRoutes(findTenant, keys),
    ...tokenRoutes({ records, findTenant, findResource, authentication, userGrants: grants, tokens }),
    ...authorizeRoutes(signIn),
    signInRoute(signIn),
    ...deviceRoutes(signIn, authentication),
  ]
}

/** Tokens of this cloud name either of these: version 1 and version 2. */
function isOwnIssuer(issuer: string, { authority }: EntraOptions): boolean {
  const tenantId = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(issuer)?.[0] ?? ''
  return issuer === issuerOf(tenantId) || issuer === `${authority(tenantId)}/v2.0`
}

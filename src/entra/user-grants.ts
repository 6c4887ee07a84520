import { noteOperation } from '../audit/request-context.ts'
import type { Env } from '../env.ts'
import type { Call } from '../http/route.ts'
import { put, remove, type RecordStore } from '../store/records.ts'
import { loginError, missingParameter, resourceNotFound } from './aadsts.ts'
import { audienceOf } from './audiences.ts'
import { digest, type Codes } from './authorize.ts'
import type { PublicClient } from './public-clients.ts'
import { refreshTokens } from './records.ts'
import { tokenSeconds, type Tokens } from './tokens.ts'
import type { SignedIn, UserLogins } from './users.ts'

/** As Entra gives single-page applications: a day, then the person signs in again. */
const REFRESH_MS = 24 * 3_600_000
const OPENID = new Set(['openid', 'profile', 'offline_access', 'email'])
const GRAPH = 'https://graph.microsoft.com'

export interface UserGrants {
  takes(grant: string): boolean
  /** The token response of a person's grant. @throws 400 invalid_grant and its like */
  answer(call: Call, form: URLSearchParams, tenantId: string | undefined): Promise<object>
}

export interface UserGrantOptions {
  readonly records: RecordStore
  readonly env: Env
  readonly tokens: Tokens
  readonly users: UserLogins
  readonly clients: ReadonlyMap<string, PublicClient>
  readonly codes: Codes
  readonly domain: string
}

interface Granted {
  readonly person: SignedIn
  readonly clientId: string
  readonly nonce?: string
}

/** Authorization code with PKCE (RFC 7636) and refresh tokens (RFC 6749 6), for public clients. */
export function userGrants(options: UserGrantOptions): UserGrants {
  return {
    takes: grant => grant === 'authorization_code' || grant === 'refresh_token',
    async answer(call, form, tenantId) {
      const clientId = (form.get('client_id') ?? '').toLowerCase()
      if (!options.clients.has(clientId))
        throw loginError('unauthorized_client', 700016, 'The application is not known here. Check client_id.')
      const isCode = form.get('grant_type') === 'authorization_code'
      const granted = isCode ? await redeemCode(options, form, clientId) : await redeemRefresh(options, form, clientId)
      const { user } = granted.person
      if (tenantId !== undefined && user.tenantId !== tenantId)
        throw loginError('invalid_grant', 700_005, 'The grant was given for another tenant.')
      noteOperation({
        resourceId: `/tenants/${user.tenantId}`,
        properties: { objectId: user.objectId, clientId, grantType: form.get('grant_type') },
      })
      return respond(options, call, form, granted)
    },
  }
}

async function redeemCode(
  { codes, users }: UserGrantOptions,
  form: URLSearchParams,
  clientId: string,
): Promise<Granted> {
  const [code, verifier] = [form.get('code'), form.get('code_verifier')]
  if (!code) throw missingParameter('code')
  if (!verifier) throw missingParameter('code_verifier')
  const grant = codes.redeem(code)
  if (grant?.clientId !== clientId)
    throw loginError(
      'invalid_grant',
      70008,
      'The authorization code has expired, was used before, or is not for this client.',
    )
  if (grant.redirectUri !== form.get('redirect_uri'))
    throw loginError(
      'invalid_grant',
      500_112,
      'The reply address does not match the one that the code was asked for with.',
    )
  if (!/^[\w.~-]{43,128}$/.test(verifier) || digest(verifier) !== grant.challenge)
    throw loginError(
      'invalid_grant',
      501_481,
      'The code_verifier does not match the code_challenge of the authorization request.',
    )
  const person = await users.find(grant.objectId)
  if (person === undefined) throw loginError('invalid_grant', 50057, 'The user account is disabled.')
  return { person, clientId, ...(grant.nonce === undefined ? {} : { nonce: grant.nonce }) }
}

async function redeemRefresh(
  { records, users, env }: UserGrantOptions,
  form: URLSearchParams,
  clientId: string,
): Promise<Granted> {
  const token = form.get('refresh_token')
  if (!token) throw missingParameter('refresh_token')
  const found = await records.get(refreshTokens, digest(token.slice(0, 512)))
  const person = found && (await users.find(found.value.objectId))
  if (!found || !person || found.value.clientId !== clientId || found.value.expiresAt <= env.now())
    throw loginError(
      'invalid_grant',
      700_082,
      'The refresh token has expired, was used before, or is not for this client.',
    )
  // Each works once. Of two that use the same one at the same time, the second fails here.
  await records.commit([remove(refreshTokens, found.id, found.version)]).catch((error: unknown) => {
    throw loginError('invalid_grant', 700_082, `The refresh token was used before: ${String(error).slice(0, 60)}`)
  })
  return { person, clientId }
}

async function respond(
  { tokens, env, records, domain }: UserGrantOptions,
  call: Call,
  form: URLSearchParams,
  { person, clientId, nonce }: Granted,
): Promise<object> {
  const { user, principal } = person
  const scope = form.get('scope') ?? ''
  const resource = form.get('resource') ?? resourceOf(scope)
  if (audienceOf(resource, domain) === undefined) throw resourceNotFound(resource, user.tenantId)
  const delegation = { clientId, userPrincipalName: user.userPrincipalName }
  const { token } = await tokens.issue(principal, resource.replace(/\/+$/, ''), delegation)
  const refresh = env.randomBytes(48).toString('base64url')
  const value = { objectId: user.objectId, clientId, expiresAt: env.now() + REFRESH_MS }
  await records.commit([put(refreshTokens, digest(refresh), value, 0)])
  const issuer = `${call.origin}/${user.tenantId}/v2.0`
  const client = JSON.stringify({ uid: user.objectId, utid: user.tenantId })
  return {
    token_type: 'Bearer',
    scope: scope === '' ? `${resource}/.default` : scope,
    expires_in: tokenSeconds,
    ext_expires_in: tokenSeconds,
    access_token: token,
    refresh_token: refresh,
    refresh_token_expires_in: REFRESH_MS / 1000,
    id_token: await tokens.issueIdToken(principal, delegation, { issuer, nonce }),
    client_info: Buffer.from(client).toString('base64url'),
  }
}

/** `https://vault.azure.net/.default`, or any other scope of one resource; Graph where none is named. */
function resourceOf(scope: string): string {
  const [first, ...others] = scope.split(' ').filter(part => part !== '' && !OPENID.has(part.toLowerCase()))
  if (first === undefined) return GRAPH
  const resource = first.slice(0, Math.max(0, first.lastIndexOf('/')))
  if (others.every(other => other.startsWith(`${resource}/`))) return resource === '' ? GRAPH : resource
  throw loginError('invalid_scope', 28000, 'Scopes of more than one resource were asked for. Ask for one at a time.')
}

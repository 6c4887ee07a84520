import { noteOperation } from '../audit/request-context.ts'
import type { Env } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { loginError, missingParameter } from './aadsts.ts'
import type { Proof } from './client-authentication.ts'
import { needsNoSecret, type Client } from './clients.ts'
import type { Codes } from './codes.ts'
import type { DeviceCodes } from './device-codes.ts'
import type { ClientKind, Grant } from './records.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import { readScope, type AskedScope } from './scopes.ts'
import { digest, type Sessions } from './sessions.ts'
import type { Granted, UserTokens } from './user-tokens.ts'
import { checkedAccount, type UserAccount, type Users } from './users.ts'

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

/** The client that asks, and how it proved itself. */
export interface Asker {
  readonly call: Call
  readonly form: URLSearchParams
  readonly tenantId: string | undefined
  readonly client: Client
  readonly proof: Proof
}

export interface UserGrantOptions {
  readonly env: Env
  readonly users: Users
  readonly sessions: Sessions
  readonly codes: Codes
  readonly deviceCodes: DeviceCodes
  readonly refreshTokens: RefreshTokens
  readonly userTokens: UserTokens
  /** `--allow-ropc`: clients may send a person's name and password. */
  readonly allowPasswordGrant: boolean
}

export interface UserGrants {
  takes(grant: string): boolean
  /** The token response of a person's grant. @throws 400 invalid_grant and the like */
  answer(asker: Asker, isV2: boolean): Promise<object>
}

type Redeem = (options: UserGrantOptions, asker: Asker) => Promise<Granted>

const grants: Readonly<Record<string, Redeem>> = {
  authorization_code: redeemCode,
  refresh_token: redeemRefresh,
  password: redeemPassword,
  // The name as RFC 8628 has it, and as JavaScript's MSAL sends it.
  [DEVICE]: redeemDevice,
  device_code: redeemDevice,
}

/** Authorization code with PKCE (RFC 7636), refresh tokens (RFC 6749 6), device code (RFC 8628), and names with passwords where they are allowed. */
export function userGrants(options: UserGrantOptions): UserGrants {
  return {
    takes: grant => Object.hasOwn(grants, grant),
    async answer(asker, isV2) {
      const { form, client, tenantId } = asker
      const grant = form.get('grant_type') ?? ''
      noteOperation({ properties: { clientId: client.clientId, grantType: grant } })
      const granted = await (grants[grant] ?? redeemCode)(options, asker)
      const { user } = granted.account
      checkedAccount(granted.account, tenantId ?? client.tenantId)
      noteOperation({ resourceId: `/tenants/${user.tenantId}`, properties: { objectId: user.objectId } })
      const { body, family } = await options.userTokens.respond(asker.call, granted, isV2)
      const code = form.get('code')
      if (code && family !== undefined && grant === 'authorization_code') await options.codes.ledTo(code, family)
      return body
    },
  }
}

async function redeemCode(options: UserGrantOptions, asker: Asker): Promise<Granted> {
  const { form, client, call } = asker
  const code = form.get('code')
  if (!code) throw missingParameter('code')
  const { grant, spent } = await options.codes.redeem(code)
  if (spent !== undefined) await options.refreshTokens.end(spent)
  if (grant?.clientId !== client.clientId) {
    const message = 'The authorization code has expired, was used before, or is not for this client.'
    throw loginError('invalid_grant', 70_008, message)
  }
  if (grant.redirectUri !== form.get('redirect_uri')) {
    const message = 'The reply address does not match the one that the code was asked for with.'
    throw loginError('invalid_grant', 500_112, message)
  }
  checkVerifier(grant, form.get('code_verifier'))
  checkOrigin(call, grant.kind, new URL(grant.redirectUri).origin)
  const proof = checkedProof(asker, grant.kind)
  const account = await stillThere(options, grant)
  const spa = grant.kind === 'spa' ? { origin: new URL(grant.redirectUri).origin, session: grant.session } : undefined
  const { authTime, nonce } = grant
  return { account, clientId: client.clientId, proof, authTime, nonce, spa, scope: mergedScope(form, grant.scope) }
}

/** RFC 7636 4.6; a verifier without a challenge is refused too, so that nobody can strip the challenge off (RFC 9700 4.8.2). */
function checkVerifier({ challenge }: Grant, verifier: string | null): void {
  if (challenge === undefined && verifier === null) return
  if (challenge !== undefined && verifier === null) throw missingParameter('code_verifier')
  if (challenge !== undefined && /^[\w.~-]{43,128}$/.test(verifier ?? '') && digest(verifier ?? '') === challenge)
    return
  const message = 'The code_verifier does not match the code_challenge of the authorization request.'
  throw loginError('invalid_grant', 501_481, message)
}

/** As Entra: only a page may use a page's grant, and a page may not use others. */
function checkOrigin(call: Call, kind: ClientKind | undefined, origin: string): void {
  const asked = call.headers.get('origin')
  if (kind === 'spa' && asked !== origin) {
    const message =
      "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests."
    throw loginError('invalid_request', 9_002_327, message)
  }
  if (kind !== 'spa' && asked !== null) {
    const message = "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type."
    throw loginError('invalid_request', 9_002_326, message)
  }
}

async function redeemRefresh(options: UserGrantOptions, asker: Asker): Promise<Granted> {
  const { form, client, call } = asker
  const token = form.get('refresh_token')
  if (!token) throw missingParameter('refresh_token')
  const { family, id, next } = await options.refreshTokens.use(token)
  const { spa, authTime } = family
  const isOthers = family.clientId !== client.clientId
  const sessionOver = spa !== undefined && !(await options.sessions.lasts(spa.session))
  // The wrong client has the token, so it was stolen.
  if (isOthers || sessionOver) {
    await options.refreshTokens.end(id)
    const message = 'The refresh token is not for this client, or its session has ended: sign in again.'
    throw loginError('invalid_grant', 700_082, message)
  }
  checkOrigin(call, spa === undefined ? undefined : 'spa', spa?.origin ?? '')
  const { proof } = asker
  if (proof === 'none' && family.confidential) throw secretMissing()
  const account = await stillThere(options, family)
  return { account, clientId: client.clientId, proof, authTime, scope: mergedScope(form, ''), refresh: next }
}

async function redeemDevice(options: UserGrantOptions, asker: Asker): Promise<Granted> {
  const { form, client } = asker
  const code = form.get('device_code') ?? form.get('code')
  if (!code) throw missingParameter('device_code')
  const { scope, ...approval } = await options.deviceCodes.redeem(code, client.clientId)
  const account = await stillThere(options, approval)
  const proof = checkedProof(asker, undefined)
  return { account, clientId: client.clientId, proof, authTime: approval.authTime, scope: mergedScope(form, scope) }
}

async function redeemPassword(options: UserGrantOptions, asker: Asker): Promise<Granted> {
  const { form, client, call, tenantId } = asker
  if (!options.allowPasswordGrant) {
    const message =
      'This cloud takes no passwords from applications. Sign in with a browser or a device code, or start it with --allow-ropc.'
    throw loginError('unsupported_grant_type', 70_003, message)
  }
  const [userName, password] = [form.get('username'), form.get('password')]
  if (!userName) throw missingParameter('username')
  if (!password) throw missingParameter('password')
  const proof = checkedProof(asker, undefined)
  noteOperation({ properties: { userPrincipalName: userName.slice(0, 256) } })
  const account = await options.users.signIn({ userName, password, tenantId, peer: call.peer })
  if (account.user.mustChangePassword)
    throw loginError('invalid_grant', 50_055, 'The password must be changed first: sign in with a browser.')
  return { account, clientId: client.clientId, proof, authTime: options.env.now(), scope: mergedScope(form, '') }
}

/** @throws AADSTS7000218 where the client has a secret and did not send it */
function checkedProof({ client, proof }: Asker, kind: ClientKind | undefined): Proof {
  if (proof === 'none' && !needsNoSecret(client, kind)) throw secretMissing()
  return proof
}

function secretMissing(): Error {
  const message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
  return loginError('invalid_client', 7_000_218, message)
}

/** The person of a grant. @throws where the account is gone or disabled, or the password was changed since */
async function stillThere(
  { users }: UserGrantOptions,
  { objectId, authTime }: { readonly objectId: string; readonly authTime: number },
): Promise<UserAccount> {
  const account = await users.byId(objectId)
  if (account === undefined || !account.principal.enabled)
    throw loginError('invalid_grant', 50_057, 'The user account is disabled.')
  if (authTime >= (account.principal.tokensValidFrom ?? 0)) return account
  throw loginError('invalid_grant', 50_173, 'The grant was revoked because the password was changed: sign in again.')
}

/** The scopes that are asked for now. A request without scopes gets those that the person agreed to. */
function mergedScope(form: URLSearchParams, agreed: string): AskedScope {
  const now = readScope(form.get('scope') ?? agreed, form.get('resource'))
  const before = readScope(agreed, null)
  return { ...now, openid: now.openid || before.openid, offline: now.offline || before.offline }
}

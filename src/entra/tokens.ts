import type { KeyObject } from 'node:crypto'
import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import type { Caller } from '../http/route.ts'
import type { RecordStore } from '../store/records.ts'
import { isAudience } from './audiences.ts'
import { accessClaims, idClaims, issuerOf, type ClientProof, type Delegation } from './claims.ts'
import { principals, tenants, type Principal } from './records.ts'
import type { SigningKeys } from './signing-keys.ts'
import { verifiedTokens, type VerifiedTokens } from './verified-tokens.ts'

/** As Entra: an hour, less a second. */
export const tokenSeconds = 3599
/** Inner code of the refusal of a token from the future: the clock was put back. */
export const TOKEN_NOT_YET_VALID = 'TokenNotYetValid'
/** Inner code of the refusal of a token whose signing key is not, or no longer, one of this cloud's. */
export const UNKNOWN_SIGNING_KEY = 'UnknownSigningKey'
/** Inner code of the refusal of a token that is for another service. */
export const INVALID_AUDIENCE = 'InvalidAudience'
const maxTokenLength = 16_384

export type PrincipalCaller = Extract<Caller, { type: 'principal' }>

export interface IssuedToken {
  readonly token: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

interface IssueOptions {
  readonly proof?: ClientProof
  /** For a person's token. */
  readonly delegation?: Delegation
  /** Given: the token has the shape of version 2, with this issuer. */
  readonly issuer?: string
}

export interface Tokens {
  issue(principal: Principal, audience: string, options?: IssueOptions): Promise<IssuedToken>
  /** OpenID Connect: tells the delegation's client who signed in. `issuer`: the one that discovery names. */
  issueIdToken(
    principal: Principal,
    delegation: Delegation,
    said: { readonly issuer: string; readonly nonce?: string | undefined; readonly isV2: boolean },
  ): Promise<string>
  /** Whether the signing key that the token names still exists. */
  isVerifiable(token: string): boolean
  /**
   * Checks signature, algorithm, issuer, times and audience, and that the principal still exists and is enabled (R31).
   * `audiences`: names of services (`vault`) or resource URLs; slash and port do not matter.
   * @throws 401 Unauthorized, InvalidAuthenticationToken, ExpiredAuthenticationToken
   */
  verify(token: string, expected: { readonly audiences: readonly string[] }): Promise<PrincipalCaller>
}

export function openTokens(options: {
  readonly records: RecordStore
  readonly env: Env
  readonly keys: SigningKeys
  readonly domain: string
}): Tokens {
  const { records, env, keys, domain } = options
  const known = verifiedTokens()
  const sign = async (claims: Record<string, unknown>, now: number): Promise<string> => {
    await keys.rotateIfDue()
    const { kid, privateKey } = keys.active()
    return new SignJWT(claims)
      .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid, x5t: kid })
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + tokenSeconds)
      .sign(privateKey)
  }
  return {
    async issue(principal, audience, issueOptions = {}) {
      const now = Math.floor(env.now() / 1000)
      const token = await sign(accessClaims(principal, audience, env, issueOptions), now)
      return { token, expiresAt: (now + tokenSeconds) * 1000 }
    },
    issueIdToken: async (principal, delegation, said) =>
      sign(idClaims(principal, delegation, env, said), Math.floor(env.now() / 1000)),
    isVerifiable: token => keys.publicKey(decodeProtectedHeader(token).kid ?? '') !== undefined,
    async verify(token, { audiences }) {
      const claims = await verifiedClaims(token, keys, env, known)
      if (!isAudience(claims['aud'] ?? '', audiences, domain)) {
        const message = `The token is for '${claims['aud']?.slice(0, 200)}': ask for one for ${audiences[0] ?? 'this service'}.`
        throw new AzureError('InvalidAuthenticationToken', 401, message, { innererror: { code: INVALID_AUDIENCE } })
      }
      return callerOf(records, claims)
    },
  }
}

async function verifiedClaims(
  token: string,
  keys: SigningKeys,
  env: Env,
  known: VerifiedTokens,
): Promise<Readonly<Record<string, string>>> {
  if (token.length > maxTokenLength) throw invalidToken('The access token is too long.')
  const verified = known.get(token, env.now(), kid => keys.publicKey(kid))
  if (verified !== undefined) return verified.claims
  let publicKey: KeyObject | undefined
  try {
    const { payload, protectedHeader } = await jwtVerify(
      token,
      async ({ kid }) => {
        publicKey = await keys.find(kid ?? '')
        if (!publicKey) {
          const message = 'The access token is not signed by a key of this cloud: log in again.'
          throw new AzureError('InvalidAuthenticationToken', 401, message, {
            innererror: { code: UNKNOWN_SIGNING_KEY },
          })
        }
        return publicKey
      },
      {
        algorithms: ['RS256'],
        typ: 'JWT',
        currentDate: new Date(env.now()),
        requiredClaims: ['exp', 'nbf', 'tid', 'oid'],
      },
    )
    const claims = Object.freeze(payload as Record<string, string>)
    const { exp = 0, nbf = 0 } = payload
    if (publicKey) known.add(token, { claims, kid: protectedHeader.kid ?? '', publicKey, exp, nbf })
    return claims
  } catch (error) {
    if (error instanceof AzureError) throw error
    if (error instanceof errors.JWTExpired) {
      throw new AzureError('ExpiredAuthenticationToken', 401, 'The access token has expired: log in again.', {
        cause: error,
      })
    }
    if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf') {
      const message = 'The access token is not valid yet by the clock of this cloud: log in again.'
      const innererror = { code: TOKEN_NOT_YET_VALID } as const
      throw new AzureError('InvalidAuthenticationToken', 401, message, { innererror, cause: error })
    }
    throw invalidToken('The access token is invalid.', error)
  }
}

/** A token does not outlive its principal: a deleted identity's tokens stop at once. */
async function callerOf(records: RecordStore, claims: Readonly<Record<string, string>>): Promise<PrincipalCaller> {
  const { tid = '', oid = '', iss, appid = '' } = claims
  if (iss !== issuerOf(tid)) throw invalidToken('The access token comes from another issuer.')
  const [tenant, principal] = await Promise.all([records.get(tenants, tid), records.get(principals, oid)])
  if (!tenant || principal?.value.tenantId !== tid || !principal.value.enabled) {
    throw invalidToken(`The principal ${oid} of this access token does not exist any more, or is disabled.`)
  }
  const { tokensValidFrom = 0 } = principal.value
  if (Number(claims['iat']) < Math.floor(tokensValidFrom / 1000))
    throw invalidToken('The password was changed after this access token was issued: sign in again.')
  return { type: 'principal', tenantId: tid, objectId: oid, appId: principal.value.appId || appid, claims }
}

function invalidToken(message: string, cause?: unknown): AzureError {
  return new AzureError('InvalidAuthenticationToken', 401, message, { cause })
}

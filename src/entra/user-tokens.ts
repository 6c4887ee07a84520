import type { Call } from '../http/route.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import type { FindResource } from './resources.ts'
import type { AskedScope } from './scopes.ts'
import { tokenSeconds, type Tokens } from './tokens.ts'
import type { ClientProof } from './claims.ts'
import type { UserAccount } from './users.ts'

/** A person for whom a client may have tokens. */
export interface Granted {
  readonly account: UserAccount
  readonly clientId: string
  readonly proof: ClientProof
  readonly authTime: number
  readonly nonce?: string | undefined
  /** For codes and devices it was named when the person agreed, so the token request need not name it again. */
  readonly scope: AskedScope
  /** For a page: its refresh tokens end with the session. */
  readonly spa?: { readonly origin: string; readonly session: string } | undefined
  /** The successor of the refresh token that was used; absent: a new family begins. */
  readonly refresh?: string
}

export interface UserTokens {
  /** The token response. `family`: the refresh tokens that began. @throws AADSTS500011 */
  respond(
    call: Call,
    granted: Granted,
    isV2: boolean,
  ): Promise<{ readonly body: Record<string, unknown>; readonly family?: string }>
}

export function userTokens(options: {
  readonly tokens: Tokens
  readonly refreshTokens: RefreshTokens
  readonly findResource: FindResource
}): UserTokens {
  const { tokens, refreshTokens, findResource } = options

  async function refreshOf(granted: Granted): Promise<{ token?: string; family?: string }> {
    if (granted.refresh !== undefined) return { token: granted.refresh }
    if (!granted.scope.offline) return {}
    const { account, clientId, authTime, proof, spa } = granted
    const { objectId, tenantId } = account.user
    return refreshTokens.begin({
      objectId,
      tenantId,
      clientId,
      authTime,
      ...(proof === 'none' ? {} : { confidential: true }),
      ...(spa === undefined ? {} : { spa }),
    })
  }

  return {
    async respond(call, granted, isV2) {
      const { account, clientId, proof, authTime, scope, nonce } = granted
      const { user, principal } = account
      const issuer = `${call.origin}/${user.tenantId}/v2.0`
      const delegation = { clientId, user, authTime, peer: call.peer }
      const resource = await findResource(scope.resource, user.tenantId)
      const { token, expiresAt } = await tokens.issue(principal, resource.audience, {
        proof,
        delegation,
        ...(resource.version === 2 ? { issuer } : {}),
      })
      const refresh = await refreshOf(granted)
      const seconds = Math.floor(expiresAt / 1000)
      const client = JSON.stringify({ uid: user.objectId, utid: user.tenantId })
      const body = {
        token_type: 'Bearer',
        scope: scope.granted,
        expires_in: isV2 ? tokenSeconds : String(tokenSeconds),
        ext_expires_in: isV2 ? tokenSeconds : String(tokenSeconds),
        ...(isV2
          ? {}
          : { expires_on: String(seconds), not_before: String(seconds - tokenSeconds), resource: scope.resource }),
        access_token: token,
        ...(refresh.token === undefined ? {} : { refresh_token: refresh.token }),
        ...(scope.openid
          ? { id_token: await tokens.issueIdToken(principal, delegation, { issuer, nonce, isV2 }) }
          : {}),
        client_info: Buffer.from(client).toString('base64url'),
      }
      return { body, ...(refresh.family === undefined ? {} : { family: refresh.family }) }
    },
  }
}

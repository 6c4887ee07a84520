import type { Env } from '../base/env.ts'
import type { Principal, User } from './records.ts'
import { digest } from './sessions.ts'

/** A client that acts in a person's name. */
export interface Delegation {
  readonly clientId: string
  readonly user: User
  /** When the person entered the password, milliseconds since 1970. */
  readonly authTime: number
  /** The client's address. */
  readonly peer: string
}

/** How a client proved who it is. */
export type ClientProof = 'none' | 'secret' | 'certificate' | 'federated'

type Claims = Record<string, unknown>

export function issuerOf(tenantId: string): string {
  return `https://sts.windows.net/${tenantId}/`
}

/** Entra's number for a client's proof: 0 none, 1 a secret, 2 a certificate. Managed identities count as 2. */
const acr: Readonly<Record<ClientProof, string>> = { none: '0', secret: '1', certificate: '2', federated: '2' }

/** The claims of an access token: version 1, or version 2 where an issuer of that version is given. */
export function accessClaims(
  principal: Principal,
  audience: string,
  env: Env,
  options: { readonly proof?: ClientProof; readonly delegation?: Delegation; readonly issuer?: string },
): Claims {
  const { tenantId, objectId, appId, kind, resourceId } = principal
  const { delegation, issuer } = options
  const proof = acr[options.proof ?? (kind === 'application' ? 'secret' : 'certificate')]
  const client = delegation?.clientId ?? appId
  const isV2 = issuer !== undefined
  return {
    aud: audience,
    iss: issuer ?? issuerOf(tenantId),
    ...(isV2 ? { azp: client, azpacr: proof } : { appid: client, appidacr: proof, idp: issuerOf(tenantId) }),
    idtyp: delegation === undefined ? 'app' : 'user',
    oid: objectId,
    sub: delegation === undefined ? objectId : pairwise(objectId, audience),
    tid: tenantId,
    uti: env.randomBytes(16).toString('base64url'),
    ver: isV2 ? '2.0' : '1.0',
    ...(resourceId === undefined ? {} : { xms_mirid: lowerGroups(resourceId) }),
    ...(delegation === undefined ? {} : { scp: 'user_impersonation', ...personClaims(principal, delegation, isV2) }),
  }
}

/** The claims of an id token (OpenID Connect Core 1.0, 2). */
export function idClaims(
  principal: Principal,
  delegation: Delegation,
  env: Env,
  said: { readonly issuer: string; readonly nonce?: string | undefined; readonly isV2: boolean },
): Claims {
  const { objectId, tenantId } = principal
  const { issuer, nonce, isV2 } = said
  return {
    aud: delegation.clientId,
    iss: isV2 ? issuer : issuerOf(tenantId),
    oid: objectId,
    sub: pairwise(objectId, delegation.clientId),
    tid: tenantId,
    uti: env.randomBytes(16).toString('base64url'),
    ver: isV2 ? '2.0' : '1.0',
    ...personClaims(principal, delegation, isV2),
    ...(nonce === undefined ? {} : { nonce }),
  }
}

function personClaims({ displayName }: Principal, { user, authTime, peer }: Delegation, isV2: boolean): Claims {
  const { userPrincipalName, givenName, surname, mail } = user
  return {
    name: displayName,
    auth_time: Math.floor(authTime / 1000),
    ...(isV2
      ? { preferred_username: userPrincipalName, ...(mail === undefined ? {} : { email: mail }) }
      : { acr: '1', amr: ['pwd'], ipaddr: peer, unique_name: userPrincipalName, upn: userPrincipalName }),
    ...(givenName === undefined ? {} : { given_name: givenName }),
    ...(surname === undefined ? {} : { family_name: surname }),
  }
}

/** The same person has another name at each client (OpenID Connect Core 1.0, 8.1). */
function pairwise(objectId: string, audience: string): string {
  return digest(`${objectId} ${audience}`)
}

/** Entra spells this one segment in lower case whatever the resource says. */
function lowerGroups(resourceId: string): string {
  return resourceId.replace(/\/resourcegroups\//i, '/resourcegroups/')
}

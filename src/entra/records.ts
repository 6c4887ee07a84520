import { collection } from '../store/records.ts'

export interface Tenant {
  readonly tenantId: string
  readonly displayName: string
  readonly createdAt: number
}

/** Who may be given access: an application's service principal, the identity of a resource, or a person. */
export interface Principal {
  readonly objectId: string
  readonly tenantId: string
  /** Empty for a person. */
  readonly appId: string
  readonly kind: 'application' | 'managed-identity' | 'user'
  readonly displayName: string
  /** The resource whose identity this is, as its provider spells it. */
  readonly resourceId?: string
  readonly enabled: boolean
  readonly createdAt: number
}

/** A client secret: what is kept is a salted hash. */
export interface ClientSecret {
  readonly keyId: string
  /** Its first three characters, by which people tell their secrets apart. */
  readonly hint: string
  /** base64url */
  readonly salt: string
  /** base64url */
  readonly hash: string
  readonly iterations: number
  readonly createdAt: number
  /** Absent: never. */
  readonly expiresAt?: number
}

export interface Application {
  readonly appId: string
  readonly tenantId: string
  readonly displayName: string
  readonly secrets: readonly ClientSecret[]
}

/** A token-signing key; the private key (PKCS #8) is sealed. */
export interface SigningKey {
  readonly kid: string
  readonly sealed: string
  readonly createdAt: number
  /** Since then it signs no more; its tokens stay valid until they expire. */
  readonly retiredAt?: number
}

/** A person's way in; the object is a principal too. */
export interface User {
  readonly objectId: string
  readonly tenantId: string
  /** As given; compared in lower case. */
  readonly userPrincipalName: string
  readonly displayName: string
  readonly password: ClientSecret
}

/** What a public client may ask for in a person's name, until it expires or is used: each use makes the next one. */
export interface RefreshToken {
  readonly objectId: string
  readonly clientId: string
  readonly expiresAt: number
}

/** The person that the first start made, beside the application; the password is sealed, so that it can be shown again. */
export interface AdministratorUser {
  readonly objectId: string
  readonly userPrincipalName: string
  readonly sealedPassword: string
}

/** The administrator that the first start made; his secret is sealed, so that it can be shown again. */
export interface Administrator {
  readonly tenantId: string
  readonly appId: string
  readonly objectId: string
  readonly sealedSecret: string
}

export const tenants = collection<Tenant>('entra.tenants')
/** By object id. */
export const principals = collection<Principal>('entra.principals')
/** By application id. */
export const principalsByApp = collection<{ objectId: string }>('entra.principals-by-app')
/** By resource id in lower case. */
export const principalsByResource = collection<{ objectId: string }>('entra.principals-by-resource')
/** By application id. */
export const applications = collection<Application>('entra.applications')
/** By kid. */
export const signingKeys = collection<SigningKey>('entra.signing-keys')
/** One record, `administrator`. */
export const administrators = collection<Administrator>('entra.administrator')
/** One record, `administrator`. */
export const administratorUsers = collection<AdministratorUser>('entra.administrator-user')
/** By object id. */
export const users = collection<User>('entra.users')
/** By user principal name in lower case. */
export const usersByName = collection<{ objectId: string }>('entra.users-by-name')
/** By the SHA-256 of the token, base64url. */
export const refreshTokens = collection<RefreshToken>('entra.refresh-tokens')

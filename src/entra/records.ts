import { collection } from '../store/records.ts'

/** What a client is, by where it takes its answers, as Entra has them. */
export type ClientKind = 'web' | 'spa' | 'publicClient'

export interface Tenant {
  readonly tenantId: string
  readonly displayName: string
  /** The domain of its users' names, for example `contoso.localhost`. Paths may have it in place of the id. */
  readonly domainName?: string
  readonly createdAt: number
}

/** Something that can be given access: an application's service principal, the identity of a resource, or a person. */
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
  /** Whether it may change users and applications of its tenant. */
  readonly directoryAdministrator?: true
  /** Sign-ins and tokens from before this time (milliseconds) are not valid any more: the password was changed. */
  readonly tokensValidFrom?: number
}

/** What is kept of a secret: a salted hash (PBKDF2). */
export interface HashedSecret {
  /** base64url */
  readonly salt: string
  /** base64url */
  readonly hash: string
  readonly iterations: number
}

export interface ClientSecret extends HashedSecret {
  readonly keyId: string
  readonly displayName?: string
  /** Its first three characters, by which people tell their secrets apart. */
  readonly hint: string
  readonly createdAt: number
  /** Absent: never. */
  readonly expiresAt?: number
}

/** A certificate whose key signs a client's assertions. */
export interface ClientCertificate {
  readonly keyId: string
  readonly displayName: string
  /** DER, base64. */
  readonly certificate: string
  /** SHA-1 and SHA-256 of the DER, base64url: `x5t` and `x5t#S256` of RFC 7515. */
  readonly x5t: string
  readonly x5tS256: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
}

/** Tokens of another issuer, which the application accepts in place of a secret. */
export interface FederatedCredential {
  readonly id: string
  readonly name: string
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
  readonly description?: string
}

/** Redirect URIs of a client, by kind of client. */
export interface RedirectUris {
  readonly web: readonly string[]
  readonly spa: readonly string[]
  readonly publicClient: readonly string[]
}

export interface Application {
  readonly appId: string
  /** Its id in Microsoft Graph; absent in records of the first version: the application id stands for it. */
  readonly objectId?: string
  readonly tenantId: string
  readonly displayName: string
  readonly createdAt?: number
  readonly secrets: readonly ClientSecret[]
  readonly certificates?: readonly ClientCertificate[]
  readonly federatedCredentials?: readonly FederatedCredential[]
  readonly redirectUris?: RedirectUris
  readonly identifierUris?: readonly string[]
  /** Whether it may log users in without a secret where no redirect URI says what kind of client it is: device code, password. */
  readonly isFallbackPublicClient?: boolean
  /** Version of the tokens for this application. */
  readonly requestedAccessTokenVersion?: 1 | 2
}

/** A browser in which somebody has signed in, by the hash of its cookie. */
export interface Session {
  readonly objectId: string
  readonly tenantId: string
  /** When the password was entered, milliseconds since 1970. */
  readonly authTime: number
  readonly expiresAt: number
}

/** What an authorization code grants until it is redeemed (RFC 6749 4.1, RFC 7636). */
export interface Grant {
  readonly clientId: string
  readonly redirectUri: string
  readonly kind: ClientKind
  /** Absent only for clients with a secret. */
  readonly challenge?: string
  readonly objectId: string
  readonly tenantId: string
  /** The browser's session. */
  readonly session: string
  readonly authTime: number
  readonly scope: string
  readonly nonce?: string
}

export interface AuthorizationCode {
  readonly expiresAt: number
  /** Absent once it was redeemed. */
  readonly grant?: Grant
  /** The family of refresh tokens that it led to. */
  readonly family?: string
}

/** A device that waits for somebody to sign in elsewhere. */
export interface Device {
  readonly clientId: string
  /** As the client named it in the path. */
  readonly tenant: string
  readonly scope: string
  /** Where the request came from, for the person to compare. */
  readonly peer: string
}

export interface Approval {
  readonly objectId: string
  readonly authTime: number
}

export interface WaitingDevice {
  readonly device: Device
  /** What people type. */
  readonly userCode: string
  readonly expiresAt: number
  readonly answer?: Approval | 'declined'
}

/** All refresh tokens that descend from one sign-in; only the newest counts. */
export interface RefreshFamily {
  readonly objectId: string
  readonly tenantId: string
  readonly clientId: string
  readonly generation: number
  readonly rotatedAt: number
  readonly authTime: number
  readonly expiresAt: number
  /** The client proved itself at the sign-in, so it has to do so each time. */
  readonly confidential?: true
  /** For a single-page application: it ends with its session, and only pages may use it. */
  readonly spa?: { readonly origin: string; readonly session: string }
}

/** A token-signing key; the private key (PKCS #8) is sealed. */
export interface SigningKey {
  readonly kid: string
  readonly sealed: string
  readonly createdAt: number
  /** When it stopped signing. Its tokens stay valid until they expire. */
  readonly retiredAt?: number
}

/** A person's sign-in. The object is a principal too. */
export interface User {
  readonly objectId: string
  readonly tenantId: string
  /** As given; compared in lower case. */
  readonly userPrincipalName: string
  readonly displayName: string
  readonly password: HashedSecret
  /** The next sign-in asks for a new password. */
  readonly mustChangePassword?: true
  readonly givenName?: string
  readonly surname?: string
  readonly mail?: string
  readonly jobTitle?: string
}

/** The person that the first start made, beside the application. The password is sealed and kept, so it can be shown again. */
export interface AdministratorUser {
  readonly objectId: string
  readonly userPrincipalName: string
  /** Absent once the person has chosen one. */
  readonly sealedPassword?: string
}

/** The administrator that the first start made. Its secret is sealed and kept, so it can be shown again. */
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
/** By the SHA-256 of the cookie, base64url. */
export const sessions = collection<Session>('entra.sessions')
/** By the SHA-256 of the code, base64url. */
export const authorizationCodes = collection<AuthorizationCode>('entra.authorization-codes')
/** By the SHA-256 of the device code, base64url. */
export const deviceCodes = collection<WaitingDevice>('entra.device-codes')
/** Ids of `deviceCodes` by the code that people type. */
export const deviceUserCodes = collection<{ id: string }>('entra.device-user-codes')
/** By the family's own id, which stands in its tokens. */
export const refreshFamilies = collection<RefreshFamily>('entra.refresh-families')
/** By the domain's name, lower case. */
export const tenantsByDomain = collection<{ tenantId: string }>('entra.tenants-by-domain')
/** Application ids by the application's object id. */
export const applicationsByObject = collection<{ appId: string }>('entra.applications-by-object')
/** Application ids by identifier URI, lower case, behind the tenant's id. */
export const applicationsByUri = collection<{ appId: string }>('entra.applications-by-uri')

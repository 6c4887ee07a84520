import { z } from 'zod'
import type { Application, ClientCertificate, ClientSecret, FederatedCredential } from '../records.ts'

const uris = z.object({ redirectUris: z.array(z.string().max(256)).max(256).optional() })
const uri = z.string().min(1).max(256)

/** A certificate as Graph takes it: new ones with `key` (base64 DER), those that are there already by `keyId`. */
export const keyCredential = z.object({
  keyId: z.guid().optional(),
  displayName: z.string().max(256).nullable().optional(),
  type: z.string().max(64).optional(),
  usage: z.string().max(64).optional(),
  key: z.string().max(16_384).nullable().optional(),
})

/** The fields of an application that can be given when it is made or changed. */
export const applicationBody = z.object({
  displayName: z.string().min(1).max(256).optional(),
  identifierUris: z.array(uri).max(50).optional(),
  isFallbackPublicClient: z.boolean().nullable().optional(),
  web: uris.optional(),
  spa: uris.optional(),
  publicClient: uris.optional(),
  api: z
    .object({
      requestedAccessTokenVersion: z
        .union([z.literal(1), z.literal(2)])
        .nullable()
        .optional(),
    })
    .optional(),
  keyCredentials: z.array(keyCredential).max(20).optional(),
})

export type ApplicationBody = z.infer<typeof applicationBody>

const date = z.iso.datetime({ offset: true }).optional()

export const passwordBody = z.object({
  passwordCredential: z
    .object({ displayName: z.string().max(256).nullable().optional(), startDateTime: date, endDateTime: date })
    .nullable()
    .optional(),
})

export const federatedBody = z.object({
  name: z.string().regex(/^[\w-]{1,120}$/, 'must have 1 to 120 letters, digits, - or _'),
  issuer: z.url({ protocol: /^https$/ }).max(600),
  subject: z.string().min(1).max(600),
  audiences: z.array(z.string().min(1).max(600)).length(1).default(['api://AzureADTokenExchange']),
  description: z.string().max(600).nullable().optional(),
})

/** As Microsoft Graph shows an application: no secret, no hash. */
export function shownApplication(application: Application): object {
  const { appId, displayName, createdAt, redirectUris, identifierUris = [], requestedAccessTokenVersion } = application
  return {
    id: application.objectId ?? appId,
    appId,
    displayName,
    createdDateTime: createdAt === undefined ? null : iso(createdAt),
    identifierUris,
    signInAudience: 'AzureADMyOrg',
    isFallbackPublicClient: application.isFallbackPublicClient ?? null,
    web: { redirectUris: redirectUris?.web ?? [] },
    spa: { redirectUris: redirectUris?.spa ?? [] },
    publicClient: { redirectUris: redirectUris?.publicClient ?? [] },
    api: { requestedAccessTokenVersion: requestedAccessTokenVersion ?? null },
    ...shownCredentials(application),
    requiredResourceAccess: [],
    appRoles: [],
    tags: [],
  }
}

export function shownCredentials(application: Pick<Application, 'secrets' | 'certificates'> | undefined): object {
  return {
    passwordCredentials: (application?.secrets ?? []).map(secret => shownSecret(secret)),
    keyCredentials: (application?.certificates ?? []).map(shownCertificate),
  }
}

/** @param secretText only in the response that makes the secret */
export function shownSecret(secret: ClientSecret, secretText: string | null = null): object {
  const { keyId, displayName = null, hint, createdAt, expiresAt } = secret
  return {
    keyId,
    displayName,
    hint,
    secretText,
    startDateTime: iso(createdAt),
    endDateTime: expiresAt === undefined ? null : iso(expiresAt),
  }
}

function shownCertificate({ keyId, displayName, x5t, notBefore, notAfter }: ClientCertificate): object {
  return {
    keyId,
    displayName,
    type: 'AsymmetricX509Cert',
    usage: 'Verify',
    key: null,
    customKeyIdentifier: Buffer.from(x5t, 'base64url').toString('base64'),
    startDateTime: iso(notBefore),
    endDateTime: iso(notAfter),
  }
}

export function shownFederated({
  id,
  name,
  issuer,
  subject,
  audiences,
  description = '',
}: FederatedCredential): object {
  return { id, name, issuer, subject, audiences, description }
}

const iso = (time: number): string => new Date(time).toISOString()

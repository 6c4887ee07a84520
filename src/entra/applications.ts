import { createSecretKey } from 'node:crypto'
import { mac } from '../crypto/derive.ts'
import type { Env } from '../base/env.ts'
import type { AzureError } from '../http/errors.ts'
import { put, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { loginError } from './aadsts.ts'
import { loginLimits } from './login-limits.ts'
import { GENERATED_ITERATIONS, hashSecret, matchesSecret, newSecretText } from './secret-hash.ts'
import {
  applications,
  applicationsByObject,
  principals,
  principalsByApp,
  type Application,
  type ClientSecret,
  type Principal,
} from './records.ts'

const secretLifeMs = 2 * 365 * 86_400_000
const maxSecretLength = 256
const maxRemembered = 1_000
/** As many as there are connections, so that guesses don't fill the queue and a right secret is refused. */
const mostWaiting = 4_096

export interface NewApplication {
  readonly application: Application
  readonly principal: Principal
  /** Shown once; only its hash is kept. */
  readonly clientSecret: string
  readonly changes: readonly Change[]
}

/** An application with a secret (good for two years unless it `lasts`) and its service principal, as changes to commit. */
export async function newApplication(
  env: Env,
  wanted: {
    readonly tenantId: string
    readonly displayName: string
    readonly lasts?: boolean
    readonly directoryAdministrator?: true | undefined
  },
): Promise<NewApplication> {
  const { tenantId, displayName, lasts = false } = wanted
  const appId = env.uuid()
  const now = env.now()
  const clientSecret = newSecretText(env, 32)
  const secrets = [await newSecret(env, clientSecret, lasts ? undefined : now + secretLifeMs)]
  const application: Application = { appId, objectId: env.uuid(), tenantId, displayName, createdAt: now, secrets }
  const principal: Principal = {
    objectId: env.uuid(),
    tenantId,
    appId,
    kind: 'application',
    displayName,
    enabled: true,
    createdAt: now,
    ...(wanted.directoryAdministrator ? { directoryAdministrator: true } : {}),
  }
  const changes = [
    put(applications, appId, application, 0),
    put(applicationsByObject, application.objectId ?? appId, { appId }, 0),
    put(principals, principal.objectId, principal, 0),
    put(principalsByApp, appId, { objectId: principal.objectId }, 0),
  ]
  return { application, principal, clientSecret, changes }
}

export interface ClientLogins {
  /** Whether the secret is the application's. Guesses lock nobody out (ADR 0022). @throws AADSTS7000215 wrong secret, 7000222 expired */
  checkSecret(found: Stored<Application>, secret: string): Promise<void>
}

export function clientLogins(env: Env): ClientLogins {
  const limits = loginLimits(env, undefined, mostWaiting)
  const cacheKey = createSecretKey(env.randomBytes(32))
  /** MACs of secrets that were right, with the record's version, so the next login of the same client skips the stretching. */
  const remembered = new Map<string, number>()

  async function matching(found: Stored<Application>, secret: string): Promise<ClientSecret | undefined> {
    for (const candidate of found.value.secrets) {
      const tag = mac(cacheKey, found.id, candidate.keyId, secret).toString('base64url')
      if (remembered.get(tag) === found.version) return candidate
      if (!(await limits.run(async () => matchesSecret(secret, candidate)))) continue
      remembered.delete(tag)
      remembered.set(tag, found.version)
      const [oldest] = remembered.keys()
      if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest)
      return candidate
    }
    return undefined
  }

  return {
    async checkSecret(found, secret) {
      const secretFound = secret.length > maxSecretLength || secret === '' ? undefined : await matching(found, secret)
      if (!secretFound) throw wrongSecret(found.id)
      if ((secretFound.expiresAt ?? Infinity) <= env.now()) {
        throw loginError(
          'invalid_client',
          7000222,
          `The provided client secret keys for app '${found.id}' are expired.`,
        )
      }
    },
  }
}

/** An application's service principal. @throws AADSTS7000112 when it is disabled or has none */
export async function enabledPrincipal(records: RecordStore, application: Application): Promise<Principal> {
  const known = await records.get(principalsByApp, application.appId)
  const principal = known && (await records.get(principals, known.value.objectId))?.value
  if (principal?.enabled) return principal
  throw loginError('unauthorized_client', 7000112, `Application '${application.appId}' is disabled.`)
}

/** A secret as it is kept. */
export async function newSecret(
  env: Env,
  secret: string,
  expiresAt: number | undefined,
  displayName?: string,
): Promise<ClientSecret> {
  return {
    ...(await hashSecret(env, secret, GENERATED_ITERATIONS)),
    keyId: env.uuid(),
    hint: secret.slice(0, 3),
    createdAt: env.now(),
    ...(displayName === undefined ? {} : { displayName }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}

function wrongSecret(appId: string): AzureError {
  const message =
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, ' +
    `not the client secret ID, for a secret added to app '${appId}'.`
  return loginError('invalid_client', 7000215, message)
}

import { createSecretKey } from 'node:crypto'
import { equalSecrets, mac, stretch } from '../crypto/derive.ts'
import type { Env } from '../env.ts'
import type { AzureError } from '../http/errors.ts'
import { put, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { applicationNotFound, loginError } from './aadsts.ts'
import { loginLimits } from './login-limits.ts'
import {
  applications,
  principals,
  principalsByApp,
  type Application,
  type ClientSecret,
  type Principal,
} from './records.ts'

/** Secrets are ours and have 256 bits: stretching guards the hash of a weaker one that an operator may have set. */
const iterations = 100_000
const secretLifeMs = 2 * 365 * 86_400_000
const maxSecretLength = 256
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const maxRemembered = 1_000

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
  wanted: { readonly tenantId: string; readonly displayName: string; readonly lasts?: boolean },
): Promise<NewApplication> {
  const { tenantId, displayName, lasts = false } = wanted
  const appId = env.uuid()
  const now = env.now()
  const clientSecret = env.randomBytes(32).toString('base64url')
  const secrets = [await newSecret(env, clientSecret, lasts ? undefined : now + secretLifeMs)]
  const application: Application = { appId, tenantId, displayName, secrets }
  const principal: Principal = {
    objectId: env.uuid(),
    tenantId,
    appId,
    kind: 'application',
    displayName,
    enabled: true,
    createdAt: now,
  }
  const changes = [
    put(applications, appId, application, 0),
    put(principals, principal.objectId, principal, 0),
    put(principalsByApp, appId, { objectId: principal.objectId }, 0),
  ]
  return { application, principal, clientSecret, changes }
}

export interface ClientLogins {
  /**
   * Who logs in with a client id and secret.
   * @throws AADSTS700016 unknown, 7000215 wrong secret, 7000222 expired secret, 7000112 disabled, 50053 locked out
   */
  login(tenantId: string | undefined, appId: string, secret: string, peer: string): Promise<Principal>
}

export function clientLogins(records: RecordStore, env: Env): ClientLogins {
  const limits = loginLimits(env)
  const cacheKey = createSecretKey(env.randomBytes(32))
  /** MACs of secrets that were right, with the record's version: the next login of the same client skips the stretching. */
  const remembered = new Map<string, number>()

  async function matching(found: Stored<Application>, secret: string): Promise<ClientSecret | undefined> {
    for (const candidate of found.value.secrets) {
      const tag = mac(cacheKey, found.id, candidate.keyId, secret).toString('base64url')
      if (remembered.get(tag) === found.version) return candidate
      const hash = await limits.run(async () => hashOf(secret, candidate))
      if (!equalSecrets(hash, candidate.hash)) continue
      remembered.delete(tag)
      remembered.set(tag, found.version)
      const [oldest] = remembered.keys()
      if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest)
      return candidate
    }
    return undefined
  }

  return {
    async login(tenantId, appId, secret, peer) {
      const found = GUID.test(appId) ? await records.get(applications, appId.toLowerCase()) : undefined
      if (!found || (tenantId !== undefined && found.value.tenantId !== tenantId)) {
        throw applicationNotFound(appId, tenantId ?? 'of this cloud')
      }
      const key = `${found.id} ${peer}`
      limits.check(key)
      const secretFound = secret.length > maxSecretLength || secret === '' ? undefined : await matching(found, secret)
      if (!secretFound) {
        limits.failed(key)
        throw wrongSecret(appId)
      }
      limits.succeeded(key)
      if ((secretFound.expiresAt ?? Infinity) <= env.now()) {
        throw loginError('invalid_client', 7000222, `The provided client secret keys for app '${appId}' are expired.`)
      }
      return enabledPrincipal(records, found.value)
    },
  }
}

async function enabledPrincipal(records: RecordStore, application: Application): Promise<Principal> {
  const known = await records.get(principalsByApp, application.appId)
  const principal = known && (await records.get(principals, known.value.objectId))?.value
  if (principal?.enabled) return principal
  throw loginError('unauthorized_client', 7000112, `Application '${application.appId}' is disabled.`)
}

/** A secret as it is kept. */
export async function newSecret(env: Env, secret: string, expiresAt: number | undefined): Promise<ClientSecret> {
  const draft = { salt: env.randomBytes(16).toString('base64url'), iterations }
  return {
    ...draft,
    keyId: env.uuid(),
    hint: secret.slice(0, 3),
    hash: await hashOf(secret, draft),
    createdAt: env.now(),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}

/** base64url of the stretched secret. */
export async function hashOf(secret: string, kept: Pick<ClientSecret, 'salt' | 'iterations'>): Promise<string> {
  const key = await stretch(secret, Buffer.from(kept.salt, 'base64url'), kept.iterations)
  return key.export().toString('base64url')
}

function wrongSecret(appId: string): AzureError {
  const message =
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, ' +
    `not the client secret ID, for a secret added to app '${appId}'.`
  return loginError('invalid_client', 7000215, message)
}

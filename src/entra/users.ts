import { equalSecrets } from '../crypto/derive.ts'
import type { Env } from '../env.ts'
import { Conflict } from '../http/errors.ts'
import { put, type Change, type RecordStore } from '../store/records.ts'
import { loginError } from './aadsts.ts'
import { hashOf, newSecret } from './applications.ts'
import { loginLimits } from './login-limits.ts'
import { principals, users, usersByName, type ClientSecret, type Principal, type User } from './records.ts'

const MAX_PASSWORD = 256
const MAX_NAME = 256
/** Stretched in place of an unknown user's: an answer must not tell by its time which names exist. */
const NOBODY: Pick<ClientSecret, 'salt' | 'iterations'> = { salt: 'AAAAAAAAAAAAAAAAAAAAAA', iterations: 100_000 }

export interface SignedIn {
  readonly user: User
  readonly principal: Principal
}

/** A person as changes to commit. @throws 409 when the name is taken */
export async function newUser(
  records: RecordStore,
  env: Env,
  wanted: {
    readonly tenantId: string
    readonly userPrincipalName: string
    readonly displayName: string
    readonly password: string
  },
): Promise<{ user: User; changes: Change[] }> {
  const { tenantId, userPrincipalName, displayName } = wanted
  const name = userPrincipalName.toLowerCase()
  if ((await records.get(usersByName, name)) !== undefined)
    throw new Conflict('Request_BadRequest', `Another object with the name '${userPrincipalName}' already exists.`)
  const objectId = env.uuid()
  const password = await newSecret(env, wanted.password, undefined)
  const user: User = { objectId, tenantId, userPrincipalName, displayName, password: { ...password, hint: '' } }
  const principal: Principal = {
    objectId,
    tenantId,
    appId: '',
    kind: 'user',
    displayName,
    enabled: true,
    createdAt: env.now(),
  }
  const changes = [
    put(users, objectId, user, 0),
    put(usersByName, name, { objectId }, 0),
    put(principals, objectId, principal, 0),
  ]
  return { user, changes }
}

export interface UserLogins {
  /** @throws AADSTS50034 unknown, 50126 wrong password, 50057 disabled, 50053 locked out */
  login(tenantId: string | undefined, name: string, password: string, peer: string): Promise<SignedIn>
  /** Someone who signed in before and may still. */
  find(objectId: string): Promise<SignedIn | undefined>
}

export function userLogins(records: RecordStore, env: Env): UserLogins {
  const limits = loginLimits(env)
  const find = async (objectId: string): Promise<SignedIn | undefined> => {
    const [user, principal] = await Promise.all([records.get(users, objectId), records.get(principals, objectId)])
    return user && principal?.value.enabled ? { user: user.value, principal: principal.value } : undefined
  }
  return {
    find,
    async login(tenantId, name, password, peer) {
      const key = `${name.slice(0, MAX_NAME).toLowerCase()} ${peer}`
      limits.check(key)
      const known = name.length > MAX_NAME ? undefined : await records.get(usersByName, name.trim().toLowerCase())
      const user = known && (await records.get(users, known.value.objectId))?.value
      const kept = user !== undefined && (tenantId === undefined || user.tenantId === tenantId) ? user : undefined
      const given = password.slice(0, MAX_PASSWORD)
      const hash = await limits.run(() => hashOf(given, kept?.password ?? NOBODY))
      if (kept === undefined || password.length > MAX_PASSWORD || !equalSecrets(hash, kept.password.hash)) {
        limits.failed(key)
        throw loginError('invalid_grant', 50126, 'Error validating credentials due to invalid username or password.')
      }
      limits.succeeded(key)
      const found = await find(kept.objectId)
      if (found !== undefined) return found
      throw loginError('invalid_grant', 50057, 'The user account is disabled.')
    },
  }
}

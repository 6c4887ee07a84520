import { commitRecorded } from '../audit/request-context.ts'
import type { Env } from '../base/env.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { put, remove, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { loginError } from './aadsts.ts'
import { loginLimits } from './login-limits.ts'
import {
  administratorUsers,
  principals,
  users,
  usersByName,
  type HashedSecret,
  type Principal,
  type User,
} from './records.ts'
import { CHOSEN_ITERATIONS, hashSecret, matchesSecret } from './secret-hash.ts'

/** Failures from one address over all user names before it is slowed down, so that nobody tries one password on many names. */
const failuresOfOneAddress = 50
const longestPassword = 256
const shortestPassword = 8
/** `name@domain`. The exact letters are checked when a user is made. */
const NAME = /^[\x21-\x7e]+@[a-z0-9.-]+$/i
/** Stretched in place of an unknown user's, so that the time of an answer does not tell which names exist. */
const NOBODY: HashedSecret = { salt: 'AAAAAAAAAAAAAAAAAAAAAA', hash: '', iterations: CHOSEN_ITERATIONS }

/** A person: the account and the principal that roles are given to. */
export interface UserAccount {
  readonly user: User
  readonly principal: Principal
}

export interface NewUser {
  readonly tenantId: string
  readonly userPrincipalName: string
  readonly displayName: string
  readonly password: string
  /** We made the password, so it is not checked. */
  readonly generated?: boolean
  readonly details?: Partial<Pick<User, 'mustChangePassword' | 'givenName' | 'surname' | 'mail' | 'jobTitle'>>
  readonly principal?: Partial<Pick<Principal, 'enabled' | 'directoryAdministrator'>>
}

export interface Users {
  byId(objectId: string): Promise<UserAccount | undefined>
  byName(userPrincipalName: string): Promise<UserAccount | undefined>
  /**
   * Who this is. `tenantId` undefined: of whatever tenant the name says.
   * @throws AADSTS50126 wrong name or password (both look and take the same), 50057 disabled, 50020 another tenant's, 50053 locked out
   */
  signIn(wanted: {
    readonly userName: string
    readonly password: string
    readonly tenantId: string | undefined
    readonly peer: string
    /** The browser, where this person has signed in with it before. Guesses from elsewhere don't slow it down. */
    readonly device?: (objectId: string) => string | undefined
  }): Promise<UserAccount>
  /** The user as changes to commit. @throws 400 for a password that is too easy, 409 when the name is taken */
  create(wanted: NewUser): Promise<{ readonly account: UserAccount; readonly changes: readonly Change[] }>
  /** A new password. All sign-ins with the old one end. @throws 400 */
  setPassword(objectId: string, password: string, mustChange: boolean): Promise<void>
  /** Changes that remove everything of the user. */
  remove(account: Stored<User>): Promise<Change[]>
}

export function openUsers({ records, env }: { readonly records: RecordStore; readonly env: Env }): Users {
  const limits = loginLimits(env)
  const addresses = loginLimits(env, failuresOfOneAddress)

  const byId: Users['byId'] = async objectId => {
    const [user, principal] = await Promise.all([records.get(users, objectId), records.get(principals, objectId)])
    return user && principal ? { user: user.value, principal: principal.value } : undefined
  }
  const byName: Users['byName'] = async name => {
    if (name.length > 256 || !NAME.test(name)) return undefined
    const found = await records.get(usersByName, name.toLowerCase())
    return found && byId(found.value.objectId)
  }
  return {
    byId,
    byName,
    async signIn({ userName, password, tenantId, peer, device }) {
      const name = userName.trim().toLowerCase().slice(0, 256)
      const account = await byName(name)
      const known = account && device?.(account.user.objectId)
      const key = `${name} ${known ?? peer}`
      limits.check(key)
      if (known === undefined) await addresses.pace(peer)
      const fits = password !== '' && password.length <= longestPassword
      const kept = account?.user.password ?? NOBODY
      const matches = fits && (await limits.run(async () => matchesSecret(password, kept)))
      if (!account || !matches) {
        limits.failed(key)
        if (known === undefined) addresses.failed(peer)
        throw loginError('invalid_grant', 50126, 'Error validating credentials due to invalid username or password.')
      }
      limits.succeeded(key)
      return checkedAccount(account, tenantId)
    },
    create: async wanted => newUser(records, env, wanted),
    setPassword: async (objectId, password, mustChange) =>
      changePassword(records, env, { objectId, password, mustChange }),
    async remove({ id, value, version }) {
      return [
        remove(users, id, version),
        remove(principals, id),
        remove(usersByName, value.userPrincipalName.toLowerCase()),
      ]
    },
  }
}

/** Only somebody who knows the password learns that the account is disabled or of another tenant. */
export function checkedAccount(account: UserAccount, tenantId: string | undefined): UserAccount {
  if (!account.principal.enabled) throw loginError('invalid_grant', 50057, 'The user account is disabled.')
  if (tenantId === undefined || account.user.tenantId === tenantId) return account
  const message = `User account '${account.user.userPrincipalName}' does not exist in tenant '${tenantId}': sign in with an account of it.`
  throw loginError('invalid_grant', 50020, message)
}

export async function newUser(
  records: RecordStore,
  env: Env,
  wanted: NewUser,
): Promise<{ account: UserAccount; changes: Change[] }> {
  const { tenantId, userPrincipalName, displayName, password, generated = false, details = {} } = wanted
  const name = userPrincipalName.toLowerCase()
  if (await records.get(usersByName, name)) {
    const message = 'Another object with the same value for property userPrincipalName already exists.'
    throw new Conflict('Request_MultipleObjectsWithSameKeyValue', message)
  }
  if (!generated) checkPassword(password, userPrincipalName)
  const objectId = env.uuid()
  const hashed = await hashSecret(env, password, CHOSEN_ITERATIONS)
  const user: User = { objectId, tenantId, userPrincipalName, displayName, password: hashed, ...details }
  const principal: Principal = {
    objectId,
    tenantId,
    appId: '',
    kind: 'user',
    displayName,
    enabled: true,
    createdAt: env.now(),
    ...wanted.principal,
  }
  const changes = [
    put(users, objectId, user, 0),
    put(principals, objectId, principal, 0),
    put(usersByName, name, { objectId }, 0),
  ]
  return { account: { user, principal }, changes }
}

async function changePassword(
  records: RecordStore,
  env: Env,
  { objectId, password, mustChange }: { objectId: string; password: string; mustChange: boolean },
): Promise<void> {
  const [user, principal] = await Promise.all([records.get(users, objectId), records.get(principals, objectId)])
  if (!user || !principal) throw new AzureError('Request_ResourceNotFound', 404, `There is no user ${objectId}.`)
  checkPassword(password, user.value.userPrincipalName)
  const { mustChangePassword: _, ...kept } = user.value
  const hashed = await hashSecret(env, password, CHOSEN_ITERATIONS)
  const changed: User = { ...kept, password: hashed, ...(mustChange ? { mustChangePassword: true } : {}) }
  const { tenantId } = user.value
  const operation = { operationName: 'Change user password', resourceId: `/tenants/${tenantId}/users/${objectId}` }
  const changes = [
    ...(await forgetShown(records, objectId)),
    put(users, objectId, changed, user.version),
    put(principals, objectId, { ...principal.value, tokensValidFrom: env.now() }, principal.version),
  ]
  await commitRecorded(records, changes, { status: 204, operation }).catch(
    changedMeanwhile('The user', 'Request_Conflict'),
  )
}

/** The administrator's first password is kept, sealed, so it can be shown. One that they chose is not kept. */
async function forgetShown(records: RecordStore, objectId: string): Promise<Change[]> {
  const found = await records.get(administratorUsers, 'administrator')
  if (found?.value.objectId !== objectId) return []
  const { sealedPassword: _, ...kept } = found.value
  return [put(administratorUsers, found.id, kept, found.version)]
}

/** Only the length counts (NIST SP 800-63B 3.1.1), not the kinds of letters. @throws 400 Request_BadRequest */
function checkPassword(password: string, userPrincipalName: string): void {
  const name = userPrincipalName.split('@')[0]?.toLowerCase() ?? ''
  const refused =
    password.length < shortestPassword || password.length > longestPassword
      ? `The password must have ${shortestPassword} to ${longestPassword} characters.`
      : name.length > 3 && password.toLowerCase().includes(name)
        ? 'The password must not contain the user name.'
        : new Set(password).size < 4
          ? 'The password must have four different characters or more.'
          : undefined
  if (refused !== undefined)
    throw new AzureError('Request_BadRequest', 400, refused, { target: 'passwordProfile.password' })
}

import { z } from 'zod'
import { noteOperation } from '../../audit/request-context.ts'
import { AzureError } from '../../http/errors.ts'
import { empty, json } from '../../http/respond.ts'
import type { Call, Route } from '../../http/route.ts'
import { everyRecord } from '../../store/every-record.ts'
import { put, remove } from '../../store/records.ts'
import { administratorUsers, principals, tenants, users, usersByName, type User } from '../records.ts'
import { domainOf } from '../tenants.ts'
import type { PrincipalCaller } from '../tokens.ts'
import type { UserAccount } from '../users.ts'
import { badRequest, commitAs, GUID, graphRoute, listPage, notFound, single, type GraphOptions } from './graph-route.ts'

const mostUsers = 50_000
const name = z.string().min(1).max(256)
const detail = z.string().max(128).nullable().optional()
const passwordProfile = z.object({
  password: z.string().min(1).max(256),
  forceChangePasswordNextSignIn: z.boolean().default(true),
})
const newUser = z.object({
  accountEnabled: z.boolean().default(true),
  displayName: name,
  userPrincipalName: z.string().min(3).max(256),
  passwordProfile,
  givenName: detail,
  surname: detail,
  jobTitle: detail,
  mail: detail,
})
const changedUser = newUser.partial().extend({ accountEnabled: z.boolean().optional() })
const changedPassword = z.object({ currentPassword: z.string().max(256), newPassword: z.string().max(256) })

/** `/me` and `/users`. */
export function userRoutes(options: GraphOptions): Route[] {
  const { records } = options
  return [
    graphRoute(options, 'GET', '/me', async (call, caller) =>
      single(call, 'users', shownUser(await me(options, caller))),
    ),
    graphRoute(
      options,
      'POST',
      '/me/changepassword',
      (call, caller) => changeOwnPassword(options, call, caller),
      'self',
    ),
    graphRoute(options, 'GET', '/users', (call, caller) =>
      listPage(call, 'users', after => usersOf(options, caller, after)),
    ),
    graphRoute(options, 'POST', '/users', (call, caller) => createUser(options, call, caller)),
    graphRoute(options, 'GET', '/users/:id', async (call, caller) =>
      single(call, 'users', shownUser(await userOf(options, call, caller))),
    ),
    graphRoute(options, 'PATCH', '/users/:id', (call, caller) => updateUser(options, call, caller)),
    graphRoute(options, 'DELETE', '/users/:id', (call, caller) => deleteUser(options, call, caller)),
    graphRoute(
      options,
      'POST',
      '/users/:id/getmembergroups',
      async (call, caller) => {
        await userOf(options, call, caller)
        // There are no groups here, but az asks for them.
        return json({ value: [] })
      },
      'nothing',
    ),
    graphRoute(options, 'POST', '/users/:id/revokesigninsessions', async (call, caller) => {
      const { user } = await userOf(options, call, caller)
      const found = await records.get(principals, user.objectId)
      if (found === undefined) throw notFound(user.objectId)
      const changed = { ...found.value, tokensValidFrom: options.env.now() }
      const operation = {
        name: 'Revoke sign-in sessions',
        resource: resourceOf(user),
        status: 200,
        endsAccess: true as const,
      }
      await commitAs(records, operation, [put(principals, found.id, changed, found.version)])
      return single(call, 'Edm.Boolean', { value: true })
    }),
  ]
}

async function me({ users }: GraphOptions, { objectId }: PrincipalCaller): Promise<UserAccount> {
  const account = await users.byId(objectId)
  if (account !== undefined) return account
  throw new AzureError('BadRequest', 403, '/me request is only valid with delegated authentication flow.')
}

async function* usersOf(options: GraphOptions, { tenantId }: PrincipalCaller, after?: string) {
  const { records } = options
  for await (const { id, value } of everyRecord(records, users, after === undefined ? {} : { after })) {
    const principal = value.tenantId === tenantId ? await records.get(principals, id) : undefined
    if (principal) yield { id, shown: shownUser({ user: value, principal: principal.value }) }
  }
}

/** By object id or name, of the caller's tenant. */
async function userOf(
  { users: directory }: GraphOptions,
  call: Call,
  { tenantId }: PrincipalCaller,
): Promise<UserAccount> {
  const id = call.params['id'] ?? ''
  const found = id.includes('@')
    ? await directory.byName(id)
    : GUID.test(id.toLowerCase())
      ? await directory.byId(id.toLowerCase())
      : undefined
  if (found?.user.tenantId === tenantId) return found
  throw notFound(id)
}

async function createUser(options: GraphOptions, call: Call, { tenantId }: PrincipalCaller): Promise<Response> {
  const { records } = options
  const body = await call.json(newUser)
  await checkName(options, tenantId, body.userPrincipalName)
  if ((await records.count(users)) >= mostUsers)
    throw new AzureError('Directory_QuotaExceeded', 400, `The directory has ${mostUsers} users, which is its most.`)
  const { account, changes } = await options.users.create({
    tenantId,
    userPrincipalName: body.userPrincipalName,
    displayName: body.displayName,
    password: body.passwordProfile.password,
    details: {
      ...withoutNull(detailsOf(body)),
      ...(body.passwordProfile.forceChangePasswordNextSignIn ? { mustChangePassword: true } : {}),
    },
    principal: { enabled: body.accountEnabled },
  })
  await commitAs(
    records,
    { name: 'Add user', resource: resourceOf(account.user), properties: { userPrincipalName: body.userPrincipalName } },
    changes,
  )
  return single(call, 'users', shownUser(account), 201)
}

async function updateUser(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const { records } = options
  const body = await call.json(changedUser)
  const { user: old } = await userOf(options, call, caller)
  if (body.accountEnabled === false || body.passwordProfile !== undefined) noteOperation({ endsAccess: true })
  if (body.accountEnabled === false) await refuseForAdministrator(options, caller, old, 'disabled')
  // First, so that a password that is refused leaves everything as it was.
  if (body.passwordProfile !== undefined)
    await options.users.setPassword(
      old.objectId,
      body.passwordProfile.password,
      body.passwordProfile.forceChangePasswordNextSignIn,
    )
  const [user, principal] = await Promise.all([records.get(users, old.objectId), records.get(principals, old.objectId)])
  if (!user || !principal) throw notFound(old.objectId)
  const { displayName = user.value.displayName, accountEnabled = principal.value.enabled, userPrincipalName } = body
  const renamed = userPrincipalName !== undefined && userPrincipalName !== old.userPrincipalName
  if (renamed) await checkName(options, old.tenantId, userPrincipalName)
  const changed: User = { ...user.value, ...detailsOf(body), displayName, ...(renamed ? { userPrincipalName } : {}) }
  await commitAs(
    records,
    { name: 'Update user', resource: resourceOf(old), properties: { changed: Object.keys(body) } },
    [
      put(users, old.objectId, withoutNull(changed), user.version),
      put(principals, old.objectId, { ...principal.value, displayName, enabled: accountEnabled }, principal.version),
      ...(renamed && userPrincipalName.toLowerCase() !== old.userPrincipalName.toLowerCase()
        ? [
            remove(usersByName, old.userPrincipalName.toLowerCase()),
            put(usersByName, userPrincipalName.toLowerCase(), { objectId: old.objectId }, 0),
          ]
        : []),
    ],
  )
  return empty(204)
}

async function deleteUser(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const { user } = await userOf(options, call, caller)
  await refuseForAdministrator(options, caller, user, 'deleted')
  const found = await options.records.get(users, user.objectId)
  if (!found) throw notFound(user.objectId)
  const operation = {
    name: 'Delete user',
    resource: resourceOf(user),
    properties: { userPrincipalName: user.userPrincipalName },
  }
  await commitAs(options.records, operation, await options.users.remove(found))
  return empty(204)
}

/** Nobody can lock themselves out, or the administrator that the first start made. */
async function refuseForAdministrator(
  { records }: GraphOptions,
  caller: PrincipalCaller,
  user: User,
  what: string,
): Promise<void> {
  const first = await records.get(administratorUsers, 'administrator')
  if (user.objectId === first?.value.objectId) throw badRequest(`The administrator of this cloud can't be ${what}.`)
  if (user.objectId === caller.objectId) throw badRequest(`Your own account can't be ${what} by yourself.`)
}

async function changeOwnPassword(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const { currentPassword, newPassword } = await call.json(changedPassword)
  const { user } = await me(options, caller)
  const userName = user.userPrincipalName
  await options.users
    .signIn({
      userName,
      password: currentPassword,
      tenantId: user.tenantId,
      peer: call.peer,
      // The token has proved already who this is.
      device: objectId => (objectId === user.objectId ? 'own token' : undefined),
    })
    .catch((error: unknown) => {
      if (error instanceof AzureError && error.status === 400)
        throw badRequest('The current password is not right.', 'currentPassword')
      throw error
    })
  if (newPassword === currentPassword)
    throw badRequest('The new password must differ from the current one.', 'newPassword')
  noteOperation({ operationName: 'Change user password', resourceId: resourceOf(user) })
  await options.users.setPassword(user.objectId, newPassword, false)
  return empty(204)
}

/** `name@domain`, with the tenant's domain. */
async function checkName(
  { records, domain }: GraphOptions,
  tenantId: string,
  userPrincipalName: string,
): Promise<void> {
  const [local = '', own = '', more] = userPrincipalName.split('@')
  if (!/^[\w.!#$&'*+/=?^`{|}~-]{1,64}$/.test(local) || more !== undefined)
    throw badRequest(
      `Property userPrincipalName is invalid: '${userPrincipalName.slice(0, 128)}' is not name@domain.`,
      'userPrincipalName',
    )
  const tenant = await records.get(tenants, tenantId)
  const expected = tenant === undefined ? domain : domainOf(tenant.value, domain)
  if (own.toLowerCase() === expected) return
  const message = `The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization: ${expected}.`
  throw badRequest(message, 'userPrincipalName')
}

type Details = Pick<z.infer<typeof newUser>, 'givenName' | 'surname' | 'jobTitle' | 'mail'>

function detailsOf(body: Details): Partial<User> {
  const { givenName, surname, jobTitle, mail } = body
  return Object.fromEntries(
    Object.entries({ givenName, surname, jobTitle, mail }).filter(([, value]) => value !== undefined),
  )
}

/** Null removes a property. */
function withoutNull<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as T
}

const resourceOf = ({ tenantId, objectId }: User): string => `/tenants/${tenantId}/users/${objectId}`

export function shownUser({ user, principal }: UserAccount): object {
  const { objectId, userPrincipalName, givenName = null, surname = null, jobTitle = null, mail = null } = user
  return {
    id: objectId,
    userPrincipalName,
    displayName: principal.displayName,
    givenName,
    surname,
    jobTitle,
    mail,
    mailNickname: userPrincipalName.split('@')[0],
    accountEnabled: principal.enabled,
    createdDateTime: new Date(principal.createdAt).toISOString(),
    userType: 'Member',
  }
}

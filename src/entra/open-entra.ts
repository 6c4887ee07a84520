import { openBox, sealBox } from '../crypto/box.ts'
import { NotFound } from '../http/errors.ts'
import type { Authenticator, Route } from '../http/route.ts'
import { put, VersionConflict, type Change, type RecordStore } from '../store/records.ts'
import { newApplication, newSecret } from './applications.ts'
import { bearerAuthenticator } from './authenticate.ts'
import { PORTAL_CLIENT } from './clients.ts'
import { allPrincipals } from './all-principals.ts'
import type { EntraOptions } from './entra-options.ts'
import { graphRoutes } from './graph/graph-routes.ts'
import { openIdentities, type Identities } from './identities.ts'
import { identitySecretRoute } from './identity-secret.ts'
import { loginRoutes } from './login-routes.ts'
import {
  administrators,
  administratorUsers,
  applications,
  principals,
  tenants,
  type Administrator,
  type Principal,
} from './records.ts'
import { rotateRoute } from './rotate-route.ts'
import { newSecretText } from './secret-hash.ts'
import { openSigningKeys } from './signing-keys.ts'
import { createTenant, domainOf, newTenant } from './tenants.ts'
import { openTokens, type Tokens } from './tokens.ts'
import { newUser, openUsers } from './users.ts'

/** The person with the same rights as the administrator's application. */
export interface AdministratorPerson {
  readonly objectId: string
  readonly userName: string
  /** Empty once the person has chosen a password. */
  readonly password: string
}

/** How to log in as an application, for a client's configuration. */
export interface ClientCredentials {
  readonly tenantId: string
  readonly clientId: string
  readonly objectId: string
  readonly clientSecret: string
}

export interface Entra {
  /** Made at the first start, the same after every restart. */
  readonly administrator: ClientCredentials
  readonly administratorUser: AdministratorPerson
  /** The client id under which the portal signs people in. */
  readonly portalClientId: string
  readonly identities: Identities
  readonly tokens: Tokens
  /** Routes of the login host, and those of the management host about identities. */
  readonly routes: readonly Route[]
  /** For Resource Manager: takes tokens for the management service, and answers all others with 401 and a challenge. */
  readonly managementAuthenticator: Authenticator
  /** The principal of this object id. */
  principal(objectId: string): Promise<Principal | undefined>
  /** Another tenant, with its own applications, to which subscriptions can be moved (R32). */
  createTenant(
    displayName: string,
    commit?: (tenantId: string, changes: readonly Change[]) => Promise<unknown>,
  ): Promise<string>
  /** An application with a service principal; its secret is shown this once. @throws 404 TenantNotFound */
  createApplication(wanted: {
    readonly tenantId: string
    readonly displayName: string
    readonly ofNewTenant?: boolean
    readonly commit?: (made: { clientId: string; objectId: string }, changes: readonly Change[]) => Promise<unknown>
  }): Promise<ClientCredentials>
  /** Disables or enables a principal, whose tokens are then refused or accepted. @throws 404 PrincipalNotFound */
  enablePrincipal(objectId: string, enabled: boolean): Promise<void>
  /** A new secret for the administrator; the old one stops working. */
  renewAdministratorSecret(): Promise<ClientCredentials>
  /** Tokens are signed by a new key from now on. */
  rotateSigningKey(): Promise<void>
}

/** Opens the directory; the first start makes a tenant and an administrator. */
export async function openEntra(options: EntraOptions): Promise<Entra> {
  const { records, env, domain, authority } = options
  const keys = await openSigningKeys(options)
  const tokens = openTokens({ records, env, keys, domain })
  const administrator = await openAdministrator(options)
  const users = openUsers(options)
  const administratorUser = await openAdministratorUser(options, administrator.tenantId)
  const readPrincipal = async (objectId: string): Promise<Principal | undefined> =>
    (await records.get(principals, objectId))?.value
  const identities = openIdentities({ ...options, tokens })
  return {
    administrator,
    administratorUser,
    portalClientId: PORTAL_CLIENT,
    tokens,
    identities,
    routes: [
      identitySecretRoute(records, identities),
      rotateRoute(keys),
      ...loginRoutes(options, { users, tokens, keys }),
      ...graphRoutes({ records, env, tokens, users, domain }),
    ],
    managementAuthenticator: bearerAuthenticator({
      tokens,
      audiences: ['management'],
      challenge: () => `Bearer authorization_uri="${authority(administrator.tenantId)}", error="invalid_token"`,
    }),
    principal: readPrincipal,
    createTenant: async (displayName, commit) => createTenant(options, displayName, commit),
    async createApplication({ tenantId, displayName, ofNewTenant = false, commit }) {
      if (!ofNewTenant && !(await records.get(tenants, tenantId)))
        throw new NotFound('TenantNotFound', `There is no tenant ${tenantId}.`)
      const made = await newApplication(env, {
        tenantId,
        displayName,
        directoryAdministrator: ofNewTenant || (await isFirst(records, tenantId)),
      })
      const { appId, objectId } = made.principal
      await (commit?.({ clientId: appId, objectId }, made.changes) ?? records.commit(made.changes))
      return { tenantId, clientId: appId, objectId, clientSecret: made.clientSecret }
    },
    async enablePrincipal(objectId, enabled) {
      const found = await records.get(principals, objectId)
      if (!found) throw new NotFound('PrincipalNotFound', `There is no principal ${objectId}.`)
      await records.commit([put(principals, objectId, { ...found.value, enabled }, found.version)])
    },
    renewAdministratorSecret: async () => renewSecret(options),
    rotateSigningKey: async () => keys.rotate(),
  }
}

/** The first application of a tenant administers it. */
async function isFirst(records: RecordStore, tenantId: string): Promise<true | undefined> {
  for await (const { tenantId: own, kind } of allPrincipals(records))
    if (own === tenantId && kind === 'application') return undefined
  return true
}

const stands = 'administrator'

async function openAdministrator(options: EntraOptions): Promise<ClientCredentials> {
  const { records, env } = options
  const known = await records.get(administrators, stands)
  if (known) return credentialsOf(options, known.value)
  const { tenant, changes } = newTenant(env, { displayName: 'OwnKey', domain: options.domain })
  const { tenantId } = tenant
  const displayName = 'OwnKey administrator'
  const made = await newApplication(env, { tenantId, displayName, lasts: true, directoryAdministrator: true })
  const { appId, objectId } = made.principal
  const value = { tenantId, appId, objectId, sealedSecret: sealSecret(options, made.clientSecret) }
  try {
    await records.commit([...changes, ...made.changes, put(administrators, stands, value, 0)])
  } catch (error) {
    // Another process on the same store was first: its administrator counts.
    if (!(error instanceof VersionConflict)) throw error
    return openAdministrator(options)
  }
  return credentialsOf(options, value)
}

const passwordPlace = Buffer.from('entra administrator password')

/** A folder of an earlier version gets its administrator's user at the next start. */
async function openAdministratorUser(options: EntraOptions, tenantId: string): Promise<AdministratorPerson> {
  const { records, env, sealingKey, domain } = options
  const known = await records.get(administratorUsers, stands)
  if (known) {
    const { objectId, userPrincipalName, sealedPassword } = known.value
    const password =
      sealedPassword === undefined
        ? ''
        : openBox(sealingKey, passwordPlace, Buffer.from(sealedPassword, 'base64url')).toString()
    return { objectId, userName: userPrincipalName, password }
  }
  const password = newSecretText(env, 18)
  const tenant = await records.get(tenants, tenantId)
  const userName = `admin@${tenant === undefined ? domain : domainOf(tenant.value, domain)}`
  const { account, changes } = await newUser(records, env, {
    tenantId,
    userPrincipalName: userName,
    displayName: 'Administrator',
    password,
    generated: true,
    principal: { directoryAdministrator: true },
  })
  const { objectId } = account.user
  const sealedPassword = sealBox(sealingKey, passwordPlace, Buffer.from(password)).toString('base64url')
  const value = { objectId, userPrincipalName: userName, sealedPassword }
  await records.commit([...changes, put(administratorUsers, stands, value, 0)])
  return { objectId, userName, password }
}

async function renewSecret(options: EntraOptions): Promise<ClientCredentials> {
  const { records, env } = options
  const known = await records.get(administrators, stands)
  const application = known && (await records.get(applications, known.value.appId))
  if (!application) throw new NotFound('ApplicationNotFound', 'There is no administrator application.')
  const clientSecret = newSecretText(env, 32)
  const value = { ...known.value, sealedSecret: sealSecret(options, clientSecret) }
  const secrets = [await newSecret(env, clientSecret, undefined)]
  await records.commit([
    put(applications, application.id, { ...application.value, secrets }, application.version),
    put(administrators, stands, value, known.version),
  ])
  return credentialsOf(options, value)
}

const secretPlace = Buffer.from('entra administrator secret')

function sealSecret({ sealingKey }: EntraOptions, secret: string): string {
  return sealBox(sealingKey, secretPlace, Buffer.from(secret)).toString('base64url')
}

function credentialsOf({ sealingKey }: EntraOptions, administrator: Administrator): ClientCredentials {
  const { tenantId, appId, objectId, sealedSecret } = administrator
  const clientSecret = openBox(sealingKey, secretPlace, Buffer.from(sealedSecret, 'base64url')).toString()
  return { tenantId, clientId: appId, objectId, clientSecret }
}

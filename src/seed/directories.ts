import { randomBytes } from 'node:crypto'
import type { Path } from './lines.ts'
import { found, type TenantClient } from './seed-client.ts'
import { itemsOf, type Item, type SeedRun } from './seed-run.ts'
import type { SeedDirectory, SeedFile } from './seed-schema.ts'

/** A tenant with its principals. */
export interface Directory {
  readonly at: Path
  readonly wanted: SeedDirectory
  readonly client: TenantClient
  /** Object ids by name in lower case. */
  readonly users: Map<string, string>
  readonly applications: Map<string, string>
  /** The application that administers it. */
  readonly administrator: string
  /** The person who administers it; only the first tenant has one. */
  readonly administratorUser: string | undefined
}

const SECRET_NAME = 'seed'

/** Tenants with their users and applications. */
export async function seedDirectories(run: SeedRun, file: SeedFile): Promise<Directory[]> {
  const { access } = run.client
  const known = await access.administration.tenants()
  const made: Directory[] = [await directory(run, [], file, access.endpoints.tenantId)]
  for (const { value, at } of itemsOf(file.tenants, 'tenants')) {
    const tenantId = await run.item(`tenant ${value.displayName}`, at, async count => {
      const same = known.find(({ displayName }) => displayName.toLowerCase() === value.displayName.toLowerCase())
      if (same !== undefined) return (count('same'), same.tenantId)
      const administrator = run.client.as(access.endpoints.tenantId)
      const { properties } = await administrator.arm<{ properties: NewTenant }>(
        'POST',
        '/providers/OwnKey.Directory/tenants?api-version=2025-04-01',
        { properties: { displayName: value.displayName } },
      )
      const { clientId, clientSecret } = properties.administrator
      const { tenantId: id } = properties
      await run.secrets.keep('tenants', value.displayName, { tenantId: id, clientId, clientSecret })
      count('made')
      return id
    })
    made.push(await directory(run, at, value, tenantId))
  }
  return made
}

interface NewTenant {
  readonly tenantId: string
  readonly administrator: { readonly clientId: string; readonly clientSecret: string }
}

async function directory(run: SeedRun, at: Path, wanted: SeedDirectory, tenantId: string): Promise<Directory> {
  const client = run.client.as(tenantId)
  const { objectId } = await run.client.access.administration.administrator(tenantId)
  const { endpoints } = run.client.access
  const isFirst = tenantId === endpoints.tenantId
  const person = encodeURIComponent(endpoints.administrator.userName)
  const user = isFirst ? await found(client.graph<{ id: string }>('GET', `/users/${person}`)) : undefined
  const made: Directory = {
    at,
    wanted,
    client,
    users: new Map(),
    applications: new Map(),
    administrator: objectId,
    administratorUser: user?.id,
  }
  if (wanted.users.length > 0) {
    const { value } = await client.graph<{ value: { verifiedDomains: { name: string }[] }[] }>('GET', '/organization')
    const domain = value[0]?.verifiedDomains[0]?.name ?? ''
    for (const item of itemsOf(wanted.users, ...at, 'users')) await seedUser(run, made, item, domain)
  }
  for (const item of itemsOf(wanted.applications, ...at, 'applications')) await seedApplication(run, made, item)
  return made
}

async function seedUser(
  run: SeedRun,
  { client, users }: Directory,
  { value, at }: Item<SeedDirectory['users'][number]>,
  domain: string,
): Promise<void> {
  const given = value.userPrincipalName
  const userPrincipalName = given.includes('@') ? given : `${given}@${domain}`
  const id = await run.item(`user ${userPrincipalName}`, at, async count => {
    const path = `/users/${encodeURIComponent(userPrincipalName)}`
    const user = await found(client.graph<{ id: string; displayName: string }>('GET', path))
    if (user === undefined) {
      const ofVariable = value.passwordEnv === undefined ? undefined : run.environment[value.passwordEnv]
      const password = ofVariable ?? run.secrets.passwordOf(userPrincipalName) ?? randomBytes(18).toString('base64url')
      // Before the user exists, so that a crash in between leaves a password without its user, never a user without its password.
      if (ofVariable === undefined) await run.secrets.keep('users', userPrincipalName, { password })
      const { id: made } = await client.graph<{ id: string }>('POST', '/users', {
        userPrincipalName,
        displayName: value.displayName ?? given,
        passwordProfile: { password, forceChangePasswordNextSignIn: false },
      })
      return (count('made'), made)
    }
    const { displayName = user.displayName } = value
    if (displayName === user.displayName) return (count('same'), user.id)
    await client.graph('PATCH', path, { displayName })
    return (count('changed', 'displayName'), user.id)
  })
  users.set(given.toLowerCase(), id)
}

interface Application {
  readonly id: string
  readonly appId: string
  readonly passwordCredentials: readonly { readonly displayName: string | null }[]
}

async function seedApplication(
  run: SeedRun,
  { client, applications }: Directory,
  { value, at }: Item<SeedDirectory['applications'][number]>,
): Promise<void> {
  const { displayName } = value
  const id = await run.item(`application ${displayName}`, at, async count => {
    const [known] = await list<Application>(client, `/applications?$filter=${filter('displayName', displayName)}`)
    const application = known ?? (await client.graph<Application>('POST', '/applications', { displayName }))
    const { appId } = application
    const [acts] = await list<{ id: string }>(client, `/servicePrincipals?$filter=${filter('appId', appId)}`)
    const principal = acts ?? (await client.graph<{ id: string }>('POST', '/servicePrincipals', { appId }))
    const lacksSecret =
      value.secret && !application.passwordCredentials.some(({ displayName: name }) => name === SECRET_NAME)
    if (lacksSecret) {
      const passwordCredential = { displayName: SECRET_NAME }
      const path = `/applications/${application.id}/addPassword`
      const { secretText } = await client.graph<{ secretText: string }>('POST', path, { passwordCredential })
      const secret = { tenantId: client.tenantId, clientId: appId, clientSecret: secretText }
      await run.secrets.keep('applications', `${client.tenantId}/${displayName}`, secret)
    }
    count(known === undefined ? 'made' : lacksSecret || acts === undefined ? 'changed' : 'same')
    return principal.id
  })
  applications.set(displayName.toLowerCase(), id)
}

async function list<T>(client: TenantClient, path: string): Promise<T[]> {
  return (await client.graph<{ value: T[] }>('GET', path)).value
}

function filter(field: string, value: string): string {
  return encodeURIComponent(`${field} eq '${value.replaceAll("'", "''")}'`)
}

import { createHash } from 'node:crypto'
import { isNamed } from './check-references.ts'
import type { Directory } from './directories.ts'
import { found } from './seed-client.ts'
import { checkFixed, differing, itemsOf, type Item, type SeedRun } from './seed-run.ts'
import type { SeedAccount, SeedGroup, SeedPrincipal, SeedSubscription, SeedVault } from './seed-schema.ts'

const GROUPS = 'api-version=2025-04-01'

/** A scope at which roles are assigned. */
export interface Scope {
  readonly directory: Directory
  /** Resource Manager's id. */
  readonly id: string
  readonly item: Item<{ readonly roleAssignments: SeedSubscription['roleAssignments'] }>
}

/** An item of a resource group in the file, and the resource that was made of it. */
export interface Place<T> {
  readonly directory: Directory
  readonly group: SeedGroup
  readonly item: Item<T>
  readonly id: string
  readonly location: string
}

/** Everything of the file that has a place in Resource Manager. */
export interface Places {
  readonly scopes: Scope[]
  readonly accounts: Place<SeedAccount>[]
  readonly vaults: Place<SeedVault>[]
  /** Principals of accounts that have an identity, by the account's id. */
  readonly identities: Map<string, string>
}

/** Makes subscriptions and their groups, which vaults and accounts then go into. */
export async function seedPlaces(run: SeedRun, directories: readonly Directory[]): Promise<Places> {
  const places: Places = { scopes: [], accounts: [], vaults: [], identities: new Map() }
  for (const directory of directories)
    for (const item of itemsOf(directory.wanted.subscriptions, ...directory.at, 'subscriptions')) {
      const id = await seedSubscription(run, directory, item)
      places.scopes.push({ directory, id, item })
      for (const group of itemsOf(item.value.resourceGroups, ...item.at, 'resourceGroups'))
        await seedGroup(run, { directory, subscription: id, group }, places)
    }
  return places
}

async function seedSubscription(
  run: SeedRun,
  { client }: Directory,
  { value: { displayName }, at }: Item<SeedSubscription>,
): Promise<string> {
  return run.item(`subscription ${displayName}`, at, async count => {
    const { value } = await client.arm<{ value: { id: string; displayName: string }[] }>(
      'GET',
      '/subscriptions?api-version=2022-12-01',
    )
    const known = value.find(one => one.displayName.toLowerCase() === displayName.toLowerCase())
    if (known !== undefined) return (count('same'), known.id)
    const alias = aliasOf(displayName)
    const { properties } = await client.arm<{ properties: { subscriptionId: string } }>(
      'PUT',
      `/providers/Microsoft.Subscription/aliases/${alias}?api-version=2021-10-01`,
      { properties: { displayName, workload: 'Production' } },
    )
    count('made')
    return `/subscriptions/${properties.subscriptionId}`
  })
}

/** A different alias for each name, since a known alias would give the other subscription. */
function aliasOf(displayName: string): string {
  const name = displayName.toLowerCase()
  const readable = name.replace(/[^a-z0-9]+/g, '-').slice(0, 40)
  return `seed-${readable}-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`
}

async function seedGroup(
  run: SeedRun,
  { directory, subscription, group }: { directory: Directory; subscription: string; group: Item<SeedGroup> },
  places: Places,
): Promise<void> {
  const { client } = directory
  const { value, at } = group
  const id = `${subscription}/resourceGroups/${value.name}`
  const { location } = await run.item(`group ${value.name}`, at, async count => {
    const known = await found(client.arm<{ location: string; tags?: object }>('GET', `${id}?${GROUPS}`))
    if (known === undefined) {
      count('made')
      const { location: here } = run.client.access.endpoints
      return client.arm<{ location: string }>('PUT', `${id}?${GROUPS}`, {
        location: value.location ?? here,
        ...(value.tags === undefined ? {} : { tags: value.tags }),
      })
    }
    checkFixed(known, { location: value.location })
    const changes = differing({ tags: known.tags ?? {} }, { tags: value.tags })
    if (changes.tags === undefined) return (count('same'), known)
    await client.arm('PATCH', `${id}?${GROUPS}`, changes)
    return (count('changed', 'tags'), known)
  })
  places.scopes.push({ directory, id, item: group })
  const place = <T extends SeedAccount | SeedVault>(item: Item<T>, provider: string): Place<T> => {
    const resource = `${id}/providers/${provider}/${item.value.name}`
    places.scopes.push({ directory, id: resource, item })
    return { directory, group: value, item, id: resource, location: item.value.location ?? location }
  }
  for (const item of itemsOf(value.vaults, ...at, 'vaults'))
    places.vaults.push(place(item, 'Microsoft.KeyVault/vaults'))
  for (const item of itemsOf(value.accounts, ...at, 'accounts'))
    places.accounts.push(place(item, 'Microsoft.CognitiveServices/accounts'))
}

/** The object id of the principal that the file names. @throws when there is none, which the file's check has ruled out */
export function objectIdOf({ accounts, identities }: Places, directory: Directory, who: SeedPrincipal): string {
  const { user, application, identity, administrator, objectId } = who
  if (objectId !== undefined) return objectId.toLowerCase()
  const account = accounts.find(
    place => place.directory === directory && isNamed(place.item.value.name, place.group.name, identity ?? ''),
  )
  const id =
    directory.users.get(user?.toLowerCase() ?? '') ??
    directory.applications.get(application?.toLowerCase() ?? '') ??
    (account === undefined ? undefined : identities.get(account.id)) ??
    (administrator === 'application' ? directory.administrator : undefined) ??
    (administrator === 'user' ? directory.administratorUser : undefined)
  if (id !== undefined) return id
  throw new Error(`nobody is called ${JSON.stringify(who)} in the tenant`)
}

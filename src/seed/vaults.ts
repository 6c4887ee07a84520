import { KEY_PERMISSIONS } from '../keyvault/permissions.ts'
import { found } from './seed-client.ts'
import { seedKey } from './keys.ts'
import { checkFixed, differing, itemsOf, type SeedRun } from './seed-run.ts'
import { objectIdOf, type Place, type Places } from './places.ts'
import { assignRole } from './roles.ts'
import type { SeedVault } from './seed-schema.ts'

const VERSION = 'api-version=2023-07-01'
/** The permissions that the administrator needs to make the keys of the file and to compare them with it. */
const MANAGE = ['create', 'get', 'list', 'update', 'getrotationpolicy', 'rotate', 'setrotationpolicy']

interface Policy {
  readonly tenantId: string
  readonly objectId: string
  readonly permissions: { readonly keys?: readonly string[] }
}

interface Shown {
  readonly location: string
  readonly tags?: object
  readonly properties: { readonly accessPolicies?: readonly Policy[] }
}

/** Vaults with their policies and firewalls, and the keys in them. */
export async function seedVaults(run: SeedRun, places: Places): Promise<void> {
  for (const place of places.vaults) {
    const { value, at } = place.item
    await run.item(`vault ${value.name}`, at, count => seedVault(places, place, count))
    if (value.keys.length === 0) continue
    if (value.enableRbacAuthorization) {
      const given = { ...place, scope: place.id, role: 'Key Vault Crypto Officer' }
      await run.item(`role of the administrator at vault ${value.name}`, at, count =>
        assignRole(given, place.directory.administrator, count),
      )
    }
    for (const key of itemsOf(value.keys, ...at, 'keys')) await seedKey(run, place, key)
  }
}

async function seedVault(
  places: Places,
  place: Place<SeedVault>,
  count: (effect: 'made' | 'changed' | 'same', detail?: string) => void,
): Promise<void> {
  const { directory, id, location } = place
  const { value } = place.item
  const path = `${id}?${VERSION}`
  const known = await found(directory.client.arm<Shown>('GET', path))
  const policies = wantedPolicies(places, place)
  if (known === undefined) {
    const { tenantId } = directory.client
    const accessPolicies = merged([], [...policies, ...ownPolicy(place, policies, [])])
    await directory.client.arm('PUT', path, {
      location,
      ...(value.tags === undefined ? {} : { tags: value.tags }),
      properties: { tenantId, sku: { family: 'A', name: 'standard' }, ...settings(value), accessPolicies },
    })
    return count('made')
  }
  checkFixed(known, { location: value.location })
  const before = known.properties.accessPolicies ?? []
  const accessPolicies = merged(before, [...policies, ...ownPolicy(place, policies, before)])
  const properties = {
    ...differing(known.properties, settings(value)),
    ...(samePolicies(before, accessPolicies) ? {} : { accessPolicies }),
  }
  const tagsDiffer =
    value.tags !== undefined && JSON.stringify(sorted(known.tags ?? {})) !== JSON.stringify(sorted(value.tags))
  const changed = [...Object.keys(properties), ...(tagsDiffer ? ['tags'] : [])]
  if (changed.length === 0) return count('same')
  await directory.client.arm('PATCH', path, { ...(tagsDiffer ? { tags: value.tags } : {}), properties })
  return count('changed', changed.join(', '))
}

function settings(value: SeedVault) {
  const { enableRbacAuthorization, enablePurgeProtection, softDeleteRetentionInDays, publicNetworkAccess } = value
  const { sku, networkAcls } = value
  return {
    enableRbacAuthorization,
    ...(sku === undefined ? {} : { sku: { family: 'A', ...sku } }),
    ...(enablePurgeProtection === undefined ? {} : { enablePurgeProtection }),
    ...(softDeleteRetentionInDays === undefined ? {} : { softDeleteRetentionInDays }),
    ...(publicNetworkAccess === undefined ? {} : { publicNetworkAccess }),
    ...(networkAcls === undefined ? {} : { networkAcls }),
  }
}

function wantedPolicies(places: Places, { directory, item: { value } }: Place<SeedVault>): Policy[] {
  return value.accessPolicies.map(({ keys, ...who }) => ({
    tenantId: directory.client.tenantId,
    objectId: objectIdOf(places, directory, who),
    permissions: { keys },
  }))
}

/** As `az keyvault create` does for its caller: the administrator may manage the keys, unless the file has their policy. */
function ownPolicy(
  { directory: { client, administrator }, item: { value } }: Place<SeedVault>,
  wanted: readonly Policy[],
  before: readonly Policy[],
): Policy[] {
  if (value.keys.length === 0 || value.enableRbacAuthorization) return []
  if (wanted.some(({ objectId }) => objectId === administrator)) return []
  const has = before.find(({ objectId }) => objectId === administrator)?.permissions.keys ?? []
  return [
    { tenantId: client.tenantId, objectId: administrator, permissions: { keys: [...new Set([...has, ...MANAGE])] } },
  ]
}

/** Principals that the file names get its permissions. Others keep theirs. */
function merged(before: readonly Policy[], wanted: readonly Policy[]): Policy[] {
  const named = new Set(wanted.map(({ objectId }) => objectId))
  const kept = before.filter(({ objectId }) => !named.has(objectId))
  const changed = wanted.map(policy => {
    const old = before.find(({ objectId }) => objectId === policy.objectId)
    return old === undefined ? policy : { ...old, permissions: { ...old.permissions, ...policy.permissions } }
  })
  return [...kept, ...changed]
}

function samePolicies(before: readonly Policy[], after: readonly Policy[]): boolean {
  const texts = (policies: readonly Policy[]): string =>
    policies
      .map(({ objectId, permissions }) => `${objectId} ${keysOf(permissions.keys ?? [])}`)
      .toSorted()
      .join('\n')
  return texts(before) === texts(after)
}

function keysOf(keys: readonly string[]): string {
  const all = keys.some(key => key.toLowerCase() === 'all')
  return (all ? KEY_PERMISSIONS : keys)
    .map(key => key.toLowerCase())
    .toSorted()
    .join(' ')
}

function sorted(tags: object): [string, unknown][] {
  return Object.entries(tags).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

import { found } from './seed-client.ts'
import { checkFixed, differing, itemsOf, says, type Item, type SeedRun } from './seed-run.ts'
import type { Place, Places } from './places.ts'
import type { SeedAccount } from './seed-schema.ts'

const VERSION = 'api-version=2025-06-01'

interface Shown {
  readonly identity?: { readonly type: string; readonly principalId?: string }
  readonly tags: object
  readonly kind: string
  readonly location: string
  readonly properties: {
    readonly customSubDomainName: string
    readonly encryption: {
      readonly keySource: string
      readonly keyVaultProperties?: { keyVaultUri: string; keyName: string; keyVersion: string }
    }
  }
}

/** Accounts with their identities, still under service-managed keys, since their access to a vault has to come first. */
export async function seedAccounts(run: SeedRun, places: Places): Promise<void> {
  for (const place of places.accounts) {
    const { item, directory, id } = place
    const shown = await run.item(`account ${item.value.name}`, item.at, async count => {
      const path = `${id}?${VERSION}`
      const known = await found(directory.client.arm<Shown>('GET', path))
      if (known === undefined) {
        count('made')
        return directory.client.arm<Shown>('PUT', path, newAccount(place))
      }
      const changes = changesOf(known, item.value)
      if (Object.keys(changes).length === 0) return (count('same'), known)
      count(
        'changed',
        Object.keys({ ...changes, ...changes.properties })
          .filter(name => name !== 'properties')
          .join(', '),
      )
      return directory.client.arm<Shown>('PATCH', path, changes)
    })
    if (shown.identity?.principalId !== undefined) places.identities.set(id, shown.identity.principalId)
  }
}

function newAccount({ item: { value }, location }: Place<SeedAccount>): object {
  const { kind = 'OpenAI', tags, identity } = value
  return {
    location,
    kind,
    sku: { name: 'S0' },
    ...(tags === undefined ? {} : { tags }),
    ...(identity === undefined ? {} : { identity }),
    properties: { ...settings(value), customSubDomainName: value.customSubDomainName ?? value.name },
  }
}

function settings({ disableLocalAuth, publicNetworkAccess, networkAcls }: SeedAccount) {
  return {
    ...(disableLocalAuth === undefined ? {} : { disableLocalAuth }),
    ...(publicNetworkAccess === undefined ? {} : { publicNetworkAccess }),
    ...(networkAcls === undefined ? {} : { networkAcls }),
  }
}

function changesOf(shown: Shown, value: SeedAccount): { properties?: object } {
  const { location, kind, customSubDomainName, tags, identity } = value
  checkFixed(shown, { location, kind })
  checkFixed(shown.properties, { customSubDomainName })
  const outer = differing(shown, {
    ...(tags === undefined ? {} : { tags }),
    ...(identity === undefined ? {} : { identity }),
  })
  // Tags are replaced as a whole, so a tag that is no longer in the file is a change.
  const exact = tags === undefined || Object.keys(tags).length === Object.keys(shown.tags).length
  const properties = differing(shown.properties, settings(value))
  return {
    ...outer,
    ...(exact ? {} : { tags }),
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
  }
}

/** R15 to R17, R29: sets the key of each account's data. The service checks every requirement. */
export async function seedEncryption(run: SeedRun, places: Places): Promise<void> {
  for (const { item, directory, id } of places.accounts) {
    const { encryption } = item.value
    if (encryption === undefined) continue
    await run.item(`encryption of account ${item.value.name}`, [...item.at, 'encryption'], async count => {
      const wanted = await wantedEncryption(run, places, encryption)
      const { properties } = await directory.client.arm<Shown>('GET', `${id}?${VERSION}`)
      if (isSameKey(properties.encryption, wanted)) return count('same')
      await directory.client.arm('PATCH', `${id}?${VERSION}`, { properties: { encryption: wanted } })
      return count('changed', wanted.keyVaultProperties === undefined ? wanted.keySource : 'customer-managed key')
    })
  }
}

async function wantedEncryption(
  run: SeedRun,
  places: Places,
  { keySource, vault: name = '', key: keyName = '', keyVersion = '' }: NonNullable<SeedAccount['encryption']>,
): Promise<Shown['properties']['encryption']> {
  if (keySource === 'Microsoft.CognitiveServices') return { keySource }
  const vault = places.vaults.find(({ item }) => item.value.name.toLowerCase() === name.toLowerCase())
  if (vault === undefined) throw new Error(`there is no vault ${name} in the file`)
  const keyVaultUri = `https://${vault.item.value.name}${run.client.access.endpoints.keyVaultSuffix}/`
  if (keyVersion !== 'newest') return { keySource, keyVaultProperties: { keyVaultUri, keyName, keyVersion } }
  const { key } = await vault.directory.client.vault<{ key: { kid: string } }>(
    vault.item.value.name,
    'GET',
    `/keys/${keyName}?api-version=7.6`,
  )
  return { keySource, keyVaultProperties: { keyVaultUri, keyName, keyVersion: key.kid.split('/').at(-1) ?? '' } }
}

function isSameKey(shown: Shown['properties']['encryption'], wanted: Shown['properties']['encryption']): boolean {
  const text = ({ keySource, keyVaultProperties: key }: Shown['properties']['encryption']): string =>
    [keySource, key?.keyVaultUri.replace(/\/$/, ''), key?.keyName, key?.keyVersion].join(' ').toLowerCase()
  return text(shown) === text(wanted)
}

/** Deployments come last: those of fine-tuned models need the account's key. */
export async function seedDeployments(run: SeedRun, places: Places): Promise<void> {
  for (const place of places.accounts)
    for (const item of itemsOf(place.item.value.deployments, ...place.item.at, 'deployments'))
      await seedDeployment(run, place, item)
}

async function seedDeployment(
  run: SeedRun,
  { directory, id, item: account }: Place<SeedAccount>,
  { value, at }: Item<SeedAccount['deployments'][number]>,
): Promise<void> {
  const { name, model, sku, onKeyUnavailable } = value
  await run.item(`deployment ${name} of account ${account.value.name}`, at, async count => {
    const path = `${id}/deployments/${name}?${VERSION}`
    const known = await found(directory.client.arm<object>('GET', path))
    const wanted = {
      ...(sku === undefined ? {} : { sku }),
      properties: {
        model: { format: 'OpenAI', name: model },
        ...(onKeyUnavailable === undefined ? {} : { onKeyUnavailable }),
      },
    }
    if (known !== undefined && says(known, wanted)) return count('same')
    await directory.client.arm('PUT', path, { sku: { name: 'Standard', capacity: 1 }, ...wanted })
    return count(known === undefined ? 'made' : 'changed')
  })
}

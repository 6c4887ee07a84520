import { found, type TenantClient } from './seed-client.ts'
import { checkFixed, differing, says, type Item, type SeedRun } from './seed-run.ts'
import type { Place } from './places.ts'
import type { SeedKey, SeedVault } from './seed-schema.ts'

const VERSION = 'api-version=7.6'

interface Shown {
  readonly key: {
    readonly kty: string
    readonly crv?: string
    readonly n?: string
    readonly key_ops: readonly string[]
  }
  readonly attributes: object
  readonly tags?: object
}

/** R06: a key with at least this many versions, and its rotation policy. */
export async function seedKey(
  run: SeedRun,
  { directory, item: vault }: Place<SeedVault>,
  key: Item<SeedKey>,
): Promise<void> {
  const { name } = vault.value
  const { value, at } = key
  const call = <T>(method: string, url: string, body?: object): Promise<T> =>
    directory.client.vault<T>(name, method, url, body)
  await run.item(`key ${value.name} of vault ${name}`, at, async count => {
    const path = `/keys/${value.name}`
    const known = await found(call<Shown>('GET', `${path}?${VERSION}`))
    if (known !== undefined) checkFixed(described(known), { kty: value.kty, key_size: value.key_size, crv: value.crv })
    const have = known === undefined ? 0 : await versions(directory.client, name, value.name)
    for (let made = have; made < value.versions; made++)
      await call('POST', `${path}/create?${VERSION}`, newVersion(value))
    const changes = known === undefined ? {} : changesOf(known, value)
    if (Object.keys(changes).length > 0) await call('PATCH', `${path}?${VERSION}`, changes)
    const policy = await setPolicy(call, path, value)
    if (known === undefined) return count('made', value.versions === 1 ? undefined : `${value.versions} versions`)
    const changed = [...(have < value.versions ? ['versions'] : []), ...Object.keys(changes), ...policy]
    return changed.length === 0 ? count('same') : count('changed', changed.join(', '))
  })
}

function newVersion({ kty, key_size, crv, key_ops, attributes, tags }: SeedKey): object {
  return {
    kty,
    ...(key_size === undefined ? {} : { key_size }),
    ...(crv === undefined ? {} : { crv }),
    ...(key_ops === undefined ? {} : { key_ops }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(tags === undefined ? {} : { tags }),
  }
}

function described({ key }: Shown): object {
  const bytes = Buffer.from(key.n ?? '', 'base64url').length
  return { kty: key.kty, key_size: bytes * 8, crv: key.crv }
}

/** The changes that the newest version needs. */
function changesOf({ key, attributes, tags = {} }: Shown, value: SeedKey): object {
  const sorted = (ops: readonly string[]): readonly string[] => [...ops].toSorted()
  const { key_ops, attributes: wanted = {} } = value
  const attributesToo = differing(attributes, wanted)
  return {
    ...(key_ops === undefined || says(sorted(key.key_ops), sorted(key_ops)) ? {} : { key_ops }),
    ...(Object.keys(attributesToo).length === 0 ? {} : { attributes: attributesToo }),
    ...(value.tags === undefined || (says(tags, value.tags) && says(value.tags, tags)) ? {} : { tags: value.tags }),
  }
}

async function versions(client: TenantClient, vault: string, key: string): Promise<number> {
  let count = 0
  let next: string | null | undefined = `/keys/${key}/versions?maxresults=25&${VERSION}`
  while (next != null) {
    const page: { value: unknown[]; nextLink?: string | null } = await client.vault(vault, 'GET', next)
    count += page.value.length
    next = page.nextLink
  }
  return count
}

async function setPolicy(
  call: <T>(method: string, url: string, body?: object) => Promise<T>,
  path: string,
  { rotationPolicy }: SeedKey,
): Promise<string[]> {
  if (rotationPolicy === undefined) return []
  const shown = await call<{ lifetimeActions: unknown; attributes: { expiryTime?: string } }>(
    'GET',
    `${path}/rotationpolicy?${VERSION}`,
  )
  const expiry = rotationPolicy.attributes?.expiryTime
  if (says(shown.lifetimeActions, rotationPolicy.lifetimeActions) && shown.attributes.expiryTime === expiry) return []
  await call('PUT', `${path}/rotationpolicy?${VERSION}`, rotationPolicy)
  return ['rotationPolicy']
}

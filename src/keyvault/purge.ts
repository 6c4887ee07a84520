import { wipe } from '../crypto/wrap.ts'
import { allRecords, everyRecord } from '../store/every-record.ts'
import { put, remove, type Change } from '../store/records.ts'
import { destructions, isHsm, keyId, keyMaterial, keyVersions, type Key } from './key-record.ts'
import type { KeyVaultServices } from './services.ts'
import type { Vault } from './vault-record.ts'

/** What to remove when a key is purged. */
export interface Destruction {
  /** Removes all versions and their sealed material. The caller removes the key's own record. */
  readonly changes: readonly Change[]
  readonly idPrefix: string
  /** Keys in a token; empty for software keys. */
  readonly outside: readonly string[]
}

/** Removing the sealed material destroys it: the record store erases what it removes, and nothing else holds a copy. */
export async function destructionOf(services: KeyVaultServices, vault: Vault, key: Key): Promise<Destruction> {
  const idPrefix = `${keyId(vault, key.name)}/`
  const versions = await allRecords(services.records, keyVersions, { prefix: idPrefix })
  const hsmVersions = versions.filter(({ value }) => isHsm(value.kty))
  const found = await Promise.all(
    hsmVersions.map(async ({ value: { kty, version } }) => {
      const material = await services.materials.reveal(vault, key.name, version)
      const name = services.module.outside?.(kty, material)
      wipe(material)
      return name ?? []
    }),
  )
  const outside = found.flat()
  const changes = [
    ...versions.flatMap(({ id }) => [remove(keyMaterial, id), remove(keyVersions, id)]),
    ...outside.map(name => put(destructions, name, {})),
  ]
  return { changes, idPrefix, outside }
}

/** After the commit: drops decoded keys, and destroys keys in a token. If the token does not answer, the next maintenance tries again. */
export async function destroyMaterial(services: KeyVaultServices, { idPrefix, outside }: Destruction): Promise<void> {
  services.materials.forget(idPrefix)
  if (outside.length > 0) await destroyOutside(services).catch(() => undefined)
}

/** Destroys what is left of purged keys outside of the records. @throws what the key module throws */
export async function destroyOutside(services: KeyVaultServices): Promise<void> {
  for await (const { id } of everyRecord(services.records, destructions)) {
    await services.module.destroy?.(id)
    await services.records.commit([remove(destructions, id)])
  }
}

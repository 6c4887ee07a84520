import { wipe } from '../crypto/wrap.ts'
import { remove, type Change } from '../store/records.ts'
import { keyId, keyMaterial, keyVersions, type Key, type KeyType } from './key-record.ts'
import type { Room } from './room.ts'
import type { Vault } from './vault-record.ts'

/** What has to go when a key is purged. */
export interface Destruction {
  /** Removes all versions and their sealed material; the key's own record is the caller's to remove. */
  readonly changes: readonly Change[]
  readonly idPrefix: string
  /** Handles of keys that live in a token; empty for software keys. */
  readonly handles: readonly { readonly kty: KeyType; readonly material: Buffer }[]
}

/** Removing the sealed material shreds it: the record store erases what it removes, and nothing else holds a copy. */
export async function destructionOf(room: Room, vault: Vault, key: Key): Promise<Destruction> {
  const idPrefix = `${keyId(vault, key.name)}/`
  // MAX_VERSIONS (new-version.ts) keeps this one list.
  const versions = await room.records.list(keyVersions, { prefix: idPrefix, limit: 5000 })
  const handles =
    room.module.destroy === undefined
      ? []
      : await Promise.all(
          versions.map(async ({ value: { kty, version } }) => {
            return { kty, material: await room.materials.reveal(vault, key.name, version) }
          }),
        )
  const changes = versions.flatMap(({ id }) => [remove(keyMaterial, id), remove(keyVersions, id)])
  return { changes, idPrefix, handles }
}

/** After the commit: what is decoded in memory goes, and what lives in a token. */
export async function destroyMaterial(room: Room, { idPrefix, handles }: Destruction): Promise<void> {
  room.materials.forget(idPrefix)
  for (const { kty, material } of handles) {
    await room.module.destroy?.(kty, material)
    wipe(material)
  }
}

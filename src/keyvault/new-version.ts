import { put, type Change, type Stored } from '../store/records.ts'
import type { DataContext } from './data-route.ts'
import { forbidden, keyIsDeleted } from './errors.ts'
import { keyId, keys, keyVersions, versionId, type Key, type KeyType, type KeyVersion } from './key-record.ts'
import type { NewKey } from './key-module.ts'
import type { Vault } from './vault-record.ts'
import type { KeyVaultServices } from './services.ts'

/** What a new version has besides its key material. */
export interface VersionDraft {
  readonly kty: KeyType
  readonly keyOps: readonly string[]
  readonly enabled: boolean
  readonly nbf: number | undefined
  readonly exp: number | undefined
  readonly exportable: boolean | undefined
  readonly tags: Readonly<Record<string, string>> | undefined
}

export interface AddedVersion {
  readonly key: Key
  readonly version: KeyVersion
  readonly changes: readonly Change[]
}

/** The most versions of one key, so that purging it stays a single commit. */
const MAX_VERSIONS = 1000

/** The key of that name, undefined when the name is free. @throws 409 while the name is deleted but recoverable, 403 at the limit of versions */
export async function usableName({ services, vault, name }: DataContext): Promise<Stored<Key> | undefined> {
  const found = await services.records.get(keys, keyId(vault, name))
  if (found?.value.deleted !== undefined) throw keyIsDeleted(found.value.name)
  if (found !== undefined && (await services.records.count(keyVersions, `${found.id}/`)) >= MAX_VERSIONS) {
    throw forbidden(
      'TooManyVersions',
      `Key ${name} has ${MAX_VERSIONS} versions, the most there can be: create another key.`,
    )
  }
  return found
}

/** Adds a version, and the key with it when there is none, as changes to commit. `now` in milliseconds. */
export function addVersion(
  { services, vault, name, now }: { services: KeyVaultServices; vault: Vault; name: string; now: number },
  before: Stored<Key> | undefined,
  draft: VersionDraft,
  made: NewKey,
): AddedVersion {
  const id = services.env.randomBytes(16).toString('hex')
  const at = Math.floor(now / 1000)
  const key: Key = before === undefined ? { name, current: id } : { ...before.value, current: id }
  const { nbf, exp, exportable, tags } = draft
  const version: KeyVersion = {
    version: id,
    kty: draft.kty,
    size: made.size,
    publicPart: made.publicPart,
    keyOps: draft.keyOps,
    enabled: draft.enabled,
    ...(nbf === undefined ? {} : { nbf }),
    ...(exp === undefined ? {} : { exp }),
    created: at,
    updated: at,
    ...(exportable === undefined ? {} : { exportable }),
    ...(tags === undefined ? {} : { tags }),
  }
  const changes = [
    put(keys, keyId(vault, name), key, before?.version ?? 0),
    put(keyVersions, versionId(vault, name, id), version, 0),
    services.materials.seal(vault, name, id, made.material),
  ]
  return { key, version, changes }
}

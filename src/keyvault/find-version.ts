import type { Stored } from '../store/records.ts'
import { keyNotFound } from './errors.ts'
import { keyId, keys, keyVersions, versionId, type Key, type KeyVersion } from './key-record.ts'
import { live } from './key-rules.ts'
import type { DataContext } from './data-route.ts'

export interface FoundVersion {
  readonly key: Stored<Key>
  readonly version: Stored<KeyVersion>
}

/** The key of the path, not deleted. @throws 404 KeyNotFound */
export async function findKey({ services, vault, name }: DataContext): Promise<Stored<Key>> {
  const key = await services.records.get(keys, keyId(vault, name))
  live(key?.value, name)
  if (key === undefined) throw keyNotFound(name)
  return key
}

/** The version of the path, or the newest where the path names none. @throws 404 KeyNotFound */
export async function findVersion(context: DataContext): Promise<FoundVersion> {
  const key = await findKey(context)
  const wanted = context.call.params['version'] ?? key.value.current
  const version = /^[0-9a-f]{32}$/i.test(wanted)
    ? await context.services.records.get(keyVersions, versionId(context.vault, context.name, wanted))
    : undefined
  if (version === undefined) throw keyNotFound(`${context.name}/${wanted.slice(0, 64)}`)
  return { key, version }
}

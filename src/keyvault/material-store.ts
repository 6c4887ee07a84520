import type { KeyObject } from 'node:crypto'
import { openBox, sealBox } from '../crypto/box.ts'
import { encodeContext } from '../crypto/encode-context.ts'
import { wipe } from '../crypto/wrap.ts'
import { put, type Change, type RecordStore, type Watch, type WatchListener } from '../store/records.ts'
import { keyMaterial, keys, versionId, type KeyVersion } from './key-record.ts'
import type { KeyModule, UsableKey } from './key-module.ts'
import type { Vault } from './vault-record.ts'

/** The most keys that stay decoded in memory. The least recently used is dropped first. */
const CACHED_KEYS = 1024
/** Keys that were not used for this long are not kept decoded. OpenSSL wipes a key when its last reference is collected. */
const IDLE_MS = 10 * 60_000

interface CachedKey {
  readonly key: Promise<UsableKey>
  usedAt: number
}

/** Private key material: sealed in records, decoded in memory for the keys in use. */
export interface MaterialStore {
  /** Seals new material, and overwrites its plaintext. */
  seal(vault: Vault, name: string, version: string, material: Buffer): Change
  /** The plaintext of the sealed material, for backups and destruction. The caller wipes it. */
  reveal(vault: Vault, name: string, version: string): Promise<Buffer>
  /** A key ready for use. The caller has decided from its records that it may be used; the cache does not check that. */
  open(vault: Vault, name: string, version: KeyVersion): Promise<UsableKey>
  /** Drops decoded keys whose ids have this prefix: a key's, or a whole vault's. */
  forget(idPrefix: string): void
  /** Drops keys that were not used for ten minutes. */
  forgetIdle(): void
  /** Drops keys that other processes delete or purge. What no watch reports is dropped once it is idle. */
  followOthers(): Watch
}

/** Material is bound to the vault's GUID, the key's name and the version, so it does not open in another place. */
export function openMaterialStore(
  records: RecordStore,
  hsmKey: KeyObject,
  module: KeyModule,
  elapsed: () => number = () => performance.now(),
): MaterialStore {
  /** The least recently used first. */
  const cached = new Map<string, CachedKey>()

  const forget = (idPrefix: string): void => {
    for (const id of cached.keys()) if (id.startsWith(idPrefix)) cached.delete(id)
  }

  const reveal: MaterialStore['reveal'] = async (vault, name, version) => {
    const id = versionId(vault, name, version)
    const found = await records.get(keyMaterial, id)
    if (found === undefined) throw new Error(`The key material of ${id} is gone, although its key is not.`)
    return openBox(hsmKey, context(vault, name, version), Buffer.from(found.value.sealed, 'base64'))
  }

  const load = async (vault: Vault, name: string, version: KeyVersion): Promise<UsableKey> =>
    openAndWipe(module, version, await reveal(vault, name, version.version))

  return {
    seal(vault, name, version, material) {
      const sealed = sealBox(hsmKey, context(vault, name, version), material).toString('base64')
      wipe(material)
      return put(keyMaterial, versionId(vault, name, version), { sealed }, 0)
    },
    reveal,
    open(vault, name, version) {
      const id = versionId(vault, name, version.version)
      const known = cached.get(id)
      const fresh = known !== undefined && elapsed() - known.usedAt < IDLE_MS
      const entry = fresh ? known : { key: load(vault, name, version), usedAt: 0 }
      entry.usedAt = elapsed()
      cached.delete(id)
      cached.set(id, entry)
      if (!fresh) {
        entry.key.catch(() => {
          if (cached.get(id) === entry) cached.delete(id)
        })
      }
      if (cached.size > CACHED_KEYS) cached.delete(cached.keys().next().value ?? '')
      return entry.key
    },
    forget,
    followOthers: () => records.watch(written => changedIn(written).forEach(prefix => forget(prefix))),
    forgetIdle() {
      for (const [id, { usedAt }] of cached) {
        if (elapsed() - usedAt < IDLE_MS) return
        cached.delete(id)
      }
    },
  }
}

async function openAndWipe(module: KeyModule, { kty }: KeyVersion, material: Buffer): Promise<UsableKey> {
  try {
    return await module.open(kty, material)
  } finally {
    wipe(material)
  }
}

/** The prefixes of the ids of keys that others may have deleted. */
function changedIn(written: Parameters<WatchListener>[0]): string[] {
  if (written === 'lost') return ['']
  const of = (name: string): string[] => written.filter(one => one.collection === name).map(({ id }) => id)
  return [...of(keys.name).map(id => `${id}/`), ...of(keyMaterial.name)]
}

function context(vault: Vault, name: string, version: string): Buffer {
  return encodeContext('key vault material', vault.id, name.toLowerCase(), version)
}

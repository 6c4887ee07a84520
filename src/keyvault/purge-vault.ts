import { unlessConflict } from '../store/conflicts.ts'
import { remove } from '../store/records.ts'
import { keys } from './key-record.ts'
import { destroyMaterial, destructionOf } from './purge.ts'
import type { KeyVaultServices } from './services.ts'
import { vaults, type Vault } from './vault-record.ts'

/**
 * Destroys a vault's keys, one commit each, then the vault itself, whose name is free afterwards. The vault is marked
 * as `purging` first, so that nobody recovers half of it. A purge that was broken off goes on at the next maintenance.
 */
export async function purgeVault(services: KeyVaultServices, vault: Vault): Promise<void> {
  for (;;) {
    const page = await services.records.list(keys, { prefix: `${vault.id}/`, limit: 100 })
    if (page.length === 0) break
    for (const key of page) {
      const destruction = await destructionOf(services, vault, key.value)
      await services.records.commit([remove(keys, key.id), ...destruction.changes], { shred: true })
      await destroyMaterial(services, destruction)
    }
  }
  const last = await services.records.get(vaults, vault.name.toLowerCase())
  // A request and maintenance may both have purged it, so the name can be another vault's now.
  if (last?.value.id === vault.id)
    await services.records.commit([remove(vaults, last.id, last.version)]).catch(unlessConflict)
}

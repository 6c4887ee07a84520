import { unlessConflict } from '../store/conflicts.ts'
import { remove } from '../store/records.ts'
import { unlessMade } from '../store/storage-errors.ts'
import { keys } from './key-record.ts'
import { destroyMaterial, destructionOf } from './purge.ts'
import type { KeyVaultServices } from './services.ts'
import { vaults, type Vault } from './vault-record.ts'

/**
 * Destroys a vault's keys, one commit each, then the vault itself, whose name is free afterwards. The vault is marked
 * as `purging` first, so that nobody recovers half of it. A purge that was broken off goes on at the next maintenance.
 * @throws ErasureIncomplete, when it is done
 */
export async function purgeVault(services: KeyVaultServices, vault: Vault): Promise<void> {
  for (;;) {
    const page = await services.records.list(keys, { prefix: `${vault.id}/`, limit: 100 })
    if (page.length === 0) break
    for (const key of page) {
      const destruction = await destructionOf(services, vault, key.value)
      // It notes keys in a token that are still to be destroyed, and makes room all the same.
      const changes = [remove(keys, key.id), ...destruction.changes]
      await services.records.commit(changes, { shred: true, reserve: 'last' }).catch(unlessMade)
      await destroyMaterial(services, destruction)
    }
  }
  await removeVault(services, vault)
}

/** Not a later vault of its name, which somebody may have made after another purge of this one had ended. */
async function removeVault({ records }: KeyVaultServices, vault: Vault): Promise<void> {
  for (;;) {
    const found = await records.get(vaults, vault.name.toLowerCase())
    if (found?.value.id !== vault.id) return
    try {
      // Shredded, so that it also erases what the disk did not let an earlier step erase, or says so.
      await records.commit([remove(vaults, found.id, found.version)], { shred: true })
    } catch (error) {
      unlessConflict(error)
    }
  }
}

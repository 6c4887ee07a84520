import { remove } from '../store/records.ts'
import { keys } from './key-record.ts'
import { destroyMaterial, destructionOf } from './purge.ts'
import type { Room } from './room.ts'
import { vaults, type Vault } from './vault-record.ts'

/**
 * Destroys a vault's keys, one commit each, then the vault itself: its name is free afterwards. The vault is marked
 * as `purging` before, so that nobody recovers half of it, and a purge that was cut off goes on at the next tick.
 */
export async function purgeVault(room: Room, vault: Vault): Promise<void> {
  for (;;) {
    const page = await room.records.list(keys, { prefix: `${vault.id}/`, limit: 100 })
    if (page.length === 0) break
    for (const key of page) {
      const destruction = await destructionOf(room, vault, key.value)
      await room.records.commit([remove(keys, key.id), ...destruction.changes], { shred: true })
      await destroyMaterial(room, destruction)
    }
  }
  await room.records.commit([remove(vaults, vault.name.toLowerCase())])
}

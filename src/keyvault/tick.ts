import { put, remove, VersionConflict, type Stored } from '../store/records.ts'
import { systemEvent } from '../audit/audit-event.ts'
import { keyVersions, keys, versionId, type Key, type KeyVersion } from './key-record.ts'
import { destroyMaterial, destructionOf } from './purge.ts'
import { purgeVault } from './purge-vault.ts'
import type { Room } from './room.ts'
import { rotated } from './rotate-key.ts'
import { dueTime } from './rotation-policy.ts'
import { allVaults, vaultResourceId, vaults, type Vault } from './vault-record.ts'

/** Rotations that one tick catches up with for one key, when the clock has jumped. */
const MAX_CATCH_UP = 100

/** What is due by the clock: purges at the end of retention periods, rotations and notices by policy. */
export async function tick(room: Room): Promise<void> {
  for await (const { value: vault } of allVaults(room.records)) {
    const over = vault.deleted !== undefined && vault.deleted.purgeAt <= room.env.now()
    if (vault.purging || over) await purgeDueVault(room, vault)
    else if (vault.deleted === undefined) await tickKeys(room, vault)
  }
}

async function purgeDueVault(room: Room, vault: Vault): Promise<void> {
  const found = await room.records.get(vaults, vault.name.toLowerCase())
  if (found?.value.id !== vault.id || found.value.deleted === undefined) return
  const resourceId = vaultResourceId(vault)
  const entry = systemEvent(room.env.now(), room.env.uuid(), {
    operationName: 'VaultPurge',
    resourceId,
    id: resourceId,
  })
  await ignoringConflict(async () => {
    await room.audit.append(entry, [put(vaults, found.id, { ...found.value, purging: true }, found.version)])
    await purgeVault(room, vault)
  })
}

async function tickKeys(room: Room, vault: Vault): Promise<void> {
  const limit = 200
  let after: string | undefined
  for (;;) {
    const prefix = `${vault.id}/`
    const page = await room.records.list(keys, { prefix, limit, ...(after === undefined ? {} : { after }) })
    for (const key of page) await ignoringConflict(() => tickKey(room, vault, key))
    if (page.length < limit) return
    after = page.at(-1)?.id
  }
}

async function tickKey(room: Room, vault: Vault, key: Stored<Key>): Promise<void> {
  if (key.value.deleted !== undefined) {
    if (key.value.deleted.purgeAt <= room.env.now()) await purgeDueKey(room, vault, key)
    return
  }
  if (key.value.rotationPolicy === undefined) return
  let current = await room.records.get(keyVersions, versionId(vault, key.value.name, key.value.current))
  let stored: Stored<Key> = key
  for (let turn = 0; turn < MAX_CATCH_UP && current !== undefined; turn++) {
    await notifyIfDue(room, vault, stored.value, current)
    const next = await rotateIfDue(room, vault, stored, current.value)
    if (next === undefined) return
    stored = next
    current = await room.records.get(keyVersions, versionId(vault, stored.value.name, stored.value.current))
  }
}

async function purgeDueKey(room: Room, vault: Vault, key: Stored<Key>): Promise<void> {
  const destruction = await destructionOf(room, vault, key.value)
  const changes = [remove(keys, key.id, key.version), ...destruction.changes]
  await room.audit.append(keyEvent(room, vault, 'KeyPurge', key.value.name), changes, { shred: true })
  await destroyMaterial(room, destruction)
}

/** The new version counts from the moment it was due: after a jump of the clock, there are as many as without. */
async function rotateIfDue(
  room: Room,
  vault: Vault,
  key: Stored<Key>,
  current: KeyVersion,
): Promise<Stored<Key> | undefined> {
  if (key.value.rotationPolicy === undefined || !current.enabled) return undefined
  const due = dueTime(key.value.rotationPolicy, 'Rotate', current)
  if (due === undefined || due > room.env.now()) return undefined
  const added = await rotated({ room, vault, now: due }, key, current)
  const entry = keyEvent(room, vault, 'KeyRotateIfDue', `${key.value.name}/${added.version.version}`)
  await room.audit.append(entry, added.changes)
  return { ...key, version: key.version + 1, value: added.key }
}

async function notifyIfDue(room: Room, vault: Vault, key: Key, current: Stored<KeyVersion>): Promise<void> {
  if (key.rotationPolicy === undefined || current.value.notified) return
  const due = dueTime(key.rotationPolicy, 'Notify', current.value)
  if (due === undefined || due > room.env.now()) return
  const name = `${key.name}/${current.value.version}`
  const change = put(keyVersions, current.id, { ...current.value, notified: true as const }, current.version)
  await room.audit.append(keyEvent(room, vault, 'KeyNearExpiryEventGridNotification', name), [change])
}

function keyEvent(room: Room, vault: Vault, operationName: string, name: string) {
  return systemEvent(room.env.now(), room.env.uuid(), {
    operationName,
    resourceId: vaultResourceId(vault),
    id: `${room.vaultUri(vault.name).replace(/\/$/, '')}/keys/${name}`,
  })
}

/** Somebody changed the record at the same moment: the next tick looks again. */
async function ignoringConflict(run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof VersionConflict)) throw error
  }
}

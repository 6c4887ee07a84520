import { eachForItself } from '../each-for-itself.ts'
import { everyRecord } from '../store/every-record.ts'
import { put, remove, VersionConflict, type Stored } from '../store/records.ts'
import { systemEvent } from '../audit/audit-event.ts'
import { keyVersions, keys, versionId, type Key, type KeyVersion } from './key-record.ts'
import { destroyMaterial, destroyOutside, destructionOf } from './purge.ts'
import { purgeVault } from './purge-vault.ts'
import type { Room } from './room.ts'
import { rotated } from './rotate-key.ts'
import { DEFAULT_LIFETIME_ACTIONS, dueTime } from './rotation-policy.ts'
import { allVaults, vaultResourceId, vaults, type Vault } from './vault-record.ts'

/** Rotations that one tick catches up with for one key, when the clock has jumped. */
const MAX_CATCH_UP = 100

/**
 * What is due by the clock: purges at the end of retention periods, rotations and notices by policy. What fails for one key or vault
 * holds up no other. @throws what failed, when all else is done
 */
export async function tick(room: Room): Promise<void> {
  room.materials.forgetIdle()
  const tasks = eachForItself()
  for await (const { value: vault } of allVaults(room.records)) {
    const over = vault.deleted !== undefined && vault.deleted.purgeAt <= room.env.now()
    if (vault.purging || over) await tasks.attempt(() => purgeDueVault(room, vault))
    else if (vault.deleted === undefined) await tasks.attempt(() => tickKeys(room, vault))
  }
  await tasks.attempt(() => destroyOutside(room))
  tasks.end()
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
  const tasks = eachForItself()
  for await (const key of everyRecord(room.records, keys, { prefix: `${vault.id}/` }))
    await tasks.attempt(() => ignoringConflict(() => tickKey(room, vault, key)))
  tasks.end()
}

async function tickKey(room: Room, vault: Vault, key: Stored<Key>): Promise<void> {
  if (key.value.deleted !== undefined) {
    if (key.value.deleted.purgeAt <= room.env.now()) await purgeDueKey(room, vault, key)
    return
  }
  let current = await room.records.get(keyVersions, versionId(vault, key.value.name, key.value.current))
  let stored: Stored<Key> = key
  for (let turn = 0; turn < MAX_CATCH_UP && current !== undefined; turn++) {
    const rotateAt = rotationDue(stored.value, current.value)
    // What was due after its rotation no longer concerned the version: it was not the newest then.
    const until = Math.min(room.env.now(), rotateAt)
    const place = { room, vault, key: stored.value }
    const noted = await noteExpiry(place, await notifyIfDue(place, current, until), until)
    if (rotateAt > room.env.now()) return
    stored = await rotateAtDue(room, vault, stored, noted.value, rotateAt)
    current = await room.records.get(keyVersions, versionId(vault, stored.value.name, stored.value.current))
  }
}

/** Milliseconds since 1970; Infinity where no policy rotates this version. */
function rotationDue({ rotationPolicy }: Key, current: KeyVersion): number {
  if (rotationPolicy === undefined || !current.enabled) return Infinity
  return dueTime(rotationPolicy, 'Rotate', current) ?? Infinity
}

async function purgeDueKey(room: Room, vault: Vault, key: Stored<Key>): Promise<void> {
  const destruction = await destructionOf(room, vault, key.value)
  const changes = [remove(keys, key.id, key.version), ...destruction.changes]
  await room.audit.append(keyEvent(room, vault, 'KeyPurge', key.value.name), changes, { shred: true })
  await destroyMaterial(room, destruction)
}

/** The new version counts from the moment it was due: after a jump of the clock, there are as many as without. */
async function rotateAtDue(
  room: Room,
  vault: Vault,
  key: Stored<Key>,
  current: KeyVersion,
  due: number,
): Promise<Stored<Key>> {
  const added = await rotated({ room, vault, now: due }, key, current)
  const entry = keyEvent(room, vault, 'KeyRotateIfDue', `${key.value.name}/${added.version.version}`)
  await room.audit.append(entry, added.changes)
  return { ...key, version: key.version + 1, value: added.key }
}

interface Place {
  readonly room: Room
  readonly vault: Vault
  readonly key: Key
}

/** As on Azure, keys whose policy was never set give notice 30 days before they expire. */
async function notifyIfDue(place: Place, current: Stored<KeyVersion>, until: number): Promise<Stored<KeyVersion>> {
  const policy = place.key.rotationPolicy ?? { lifetimeActions: DEFAULT_LIFETIME_ACTIONS }
  const due = dueTime(policy, 'Notify', current.value) ?? Infinity
  if (current.value.notified || due > until) return current
  return note(place, 'KeyNearExpiryEventGridNotification', current, { notified: true })
}

async function noteExpiry(place: Place, current: Stored<KeyVersion>, until: number): Promise<Stored<KeyVersion>> {
  const { exp = Infinity, expiryNotified } = current.value
  if (expiryNotified || exp * 1000 > until) return current
  return note(place, 'KeyExpiredEventGridNotification', current, { expiryNotified: true })
}

async function note(
  { room, vault, key }: Place,
  operationName: string,
  current: Stored<KeyVersion>,
  mark: Pick<KeyVersion, 'notified' | 'expiryNotified'>,
): Promise<Stored<KeyVersion>> {
  const value = { ...current.value, ...mark }
  const entry = keyEvent(room, vault, operationName, `${key.name}/${value.version}`)
  await room.audit.append(entry, [put(keyVersions, current.id, value, current.version)])
  return { ...current, version: current.version + 1, value }
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

import { eachForItself } from '../base/each-for-itself.ts'
import { everyRecord } from '../store/every-record.ts'
import { put, remove, type Stored, storedAs } from '../store/records.ts'
import { systemEvent } from '../audit/audit-event.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { keyVersions, keys, versionId, type Key, type KeyVersion } from './key-record.ts'
import { destroyMaterial, destroyOutside, destructionOf } from './purge.ts'
import { purgeVault } from './purge-vault.ts'
import type { KeyVaultServices } from './services.ts'
import { rotated } from './rotate-key.ts'
import { DEFAULT_LIFETIME_ACTIONS, dueTime } from './rotation-policy.ts'
import { allVaults, vaultResourceId, vaults, type Vault } from './vault-record.ts'

/** The most rotations that one run makes up for one key, after a jump of the clock. */
const MAX_CATCH_UP = 100
/** No request asks for what is due. */
const MAKING_ROOM = { reserve: 'last' } as const

/**
 * Does what is due by the clock: purges at the end of retention periods, rotations and notices by policy. A failure at one key or vault
 * does not hold up others. @throws the failures, when everything else is done
 */
export async function maintain(services: KeyVaultServices): Promise<void> {
  const tasks = eachForItself()
  for await (const { value: vault } of allVaults(services.records)) {
    const over = vault.deleted !== undefined && vault.deleted.purgeAt <= services.env.now()
    if (vault.purging || over) await tasks.attempt(() => purgeDueVault(services, vault))
    else if (vault.deleted === undefined) await tasks.attempt(() => maintainKeys(services, vault))
  }
  await tasks.attempt(() => destroyOutside(services))
  tasks.end()
}

/** One whose purge was begun, by a request or here, has its record already. */
async function purgeDueVault(services: KeyVaultServices, vault: Vault): Promise<void> {
  const found = await services.records.get(vaults, vault.name.toLowerCase())
  if (found?.value.id !== vault.id || found.value.deleted === undefined) return
  if (found.value.purging) return purgeVault(services, vault)
  const resourceId = vaultResourceId(vault)
  const entry = systemEvent(services.env.now(), services.env.uuid(), {
    operationName: 'VaultPurge',
    resourceId,
    id: resourceId,
  })
  const marked = put(vaults, found.id, { ...found.value, purging: true }, found.version)
  const purging = services.audit.append(entry, [marked], MAKING_ROOM).then(() => purgeVault(services, vault))
  await purging.catch(unlessConflict)
}

async function maintainKeys(services: KeyVaultServices, vault: Vault): Promise<void> {
  const tasks = eachForItself()
  for await (const key of everyRecord(services.records, keys, { prefix: `${vault.id}/` }))
    // Somebody changed the key at the same moment, so the next run looks again.
    await tasks.attempt(() => maintainKey(services, vault, key).catch(unlessConflict))
  tasks.end()
}

async function maintainKey(services: KeyVaultServices, vault: Vault, key: Stored<Key>): Promise<void> {
  if (key.value.deleted !== undefined) {
    if (key.value.deleted.purgeAt <= services.env.now()) await purgeDueKey(services, vault, key)
    return
  }
  let current = await services.records.get(keyVersions, versionId(vault, key.value.name, key.value.current))
  let stored: Stored<Key> = key
  for (let turn = 0; turn < MAX_CATCH_UP && current !== undefined; turn++) {
    const rotateAt = rotationDue(stored.value, current.value)
    // After its rotation the version was not the newest, so notices that came due later don't concern it.
    const until = Math.min(services.env.now(), rotateAt)
    const place = { services, vault, key: stored.value }
    const noted = await noteExpiry(place, await notifyIfDue(place, current, until), until)
    if (rotateAt > services.env.now()) return
    stored = await rotateAtDue(services, vault, stored, noted.value, rotateAt)
    current = await services.records.get(keyVersions, versionId(vault, stored.value.name, stored.value.current))
  }
}

/** Milliseconds since 1970; Infinity where no policy rotates this version. */
function rotationDue({ rotationPolicy }: Key, current: KeyVersion): number {
  if (rotationPolicy === undefined || !current.enabled) return Infinity
  return dueTime(rotationPolicy, 'Rotate', current) ?? Infinity
}

async function purgeDueKey(services: KeyVaultServices, vault: Vault, key: Stored<Key>): Promise<void> {
  const destruction = await destructionOf(services, vault, key.value)
  const changes = [remove(keys, key.id, key.version), ...destruction.changes]
  const entry = keyEvent(services, vault, 'KeyPurge', key.value.name)
  await services.audit.append(entry, changes, { shred: true, ...MAKING_ROOM })
  await destroyMaterial(services, destruction)
}

/** The new version counts from the moment it was due, so a jump of the clock gives as many versions as without it. */
async function rotateAtDue(
  services: KeyVaultServices,
  vault: Vault,
  key: Stored<Key>,
  current: KeyVersion,
  due: number,
): Promise<Stored<Key>> {
  const added = await rotated({ services, vault, now: due }, key, current)
  const entry = keyEvent(services, vault, 'KeyRotateIfDue', `${key.value.name}/${added.version.version}`)
  return storedAs(await services.audit.append(entry, added.changes), keys, key.id, added.key)
}

interface Place {
  readonly services: KeyVaultServices
  readonly vault: Vault
  readonly key: Key
}

/** As on Azure, a key whose policy was never set gets a notice 30 days before it expires. */
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
  { services, vault, key }: Place,
  operationName: string,
  current: Stored<KeyVersion>,
  mark: Pick<KeyVersion, 'notified' | 'expiryNotified'>,
): Promise<Stored<KeyVersion>> {
  const value = { ...current.value, ...mark }
  const entry = keyEvent(services, vault, operationName, `${key.name}/${value.version}`)
  const written = await services.audit.append(entry, [put(keyVersions, current.id, value, current.version)])
  return storedAs(written, keyVersions, current.id, value)
}

function keyEvent(services: KeyVaultServices, vault: Vault, operationName: string, name: string) {
  return systemEvent(services.env.now(), services.env.uuid(), {
    operationName,
    resourceId: vaultResourceId(vault),
    id: `${services.vaultUri(vault.name).replace(/\/$/, '')}/keys/${name}`,
  })
}

import type { Route } from '../http/route.ts'
import { put, remove, type Change, type Stored } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { deletedKeyNotFound, purgeProtected } from './errors.ts'
import { findKey } from './find-version.ts'
import { deletion, keyId, keys, type Key } from './key-record.ts'
import { destroyMaterial, destructionOf } from './purge.ts'
import { currentVersion, deletedKeyBundle } from './read-keys.ts'
import type { KeyVaultServices } from './services.ts'
import { keyBundle, kid } from './wire-keys.ts'

/** R21: deleting covers all versions of a key, recovering brings all of them back, purging is for good. */
export function deleteKeyRoutes(services: KeyVaultServices): Route[] {
  return [
    ...dataRoutes<undefined>(services, {
      method: 'DELETE',
      paths: ['/keys/:name'],
      operationName: 'KeyDelete',
      changes: true,
      permission: 'delete',
      run: deleteKey,
    }),
    ...dataRoutes<undefined>(services, {
      method: 'POST',
      paths: ['/deletedkeys/:name/recover'],
      operationName: 'KeyRecover',
      changes: true,
      permission: 'recover',
      run: recoverKey,
    }),
    ...dataRoutes<undefined>(services, {
      method: 'DELETE',
      paths: ['/deletedkeys/:name'],
      operationName: 'KeyPurge',
      changes: true,
      permission: 'purge',
      run: purgeKey,
    }),
  ]
}

async function deleteKey(context: DataContext): Promise<Outcome> {
  const { services, call, vault, name, now } = context
  const before = await findKey(context)
  const version = await currentVersion(context, before.value)
  const id = kid(call.origin, before.value.name)
  if (!vault.properties.enableSoftDelete) {
    return { ...(await destroyed(context, before)), body: keyBundle(call.origin, vault, before.value, version), id }
  }
  const key: Key = { ...before.value, deleted: deletion(vault, now) }
  return {
    body: deletedKeyBundle(call.origin, context, key, version),
    changes: [put(keys, before.id, key, before.version)],
    id,
    afterwards: () => services.materials.forget(`${keyId(vault, name)}/`),
  }
}

async function recoverKey(context: DataContext): Promise<Outcome> {
  const { call, vault } = context
  const before = await findDeleted(context)
  const { deleted: _, ...key } = before.value
  return {
    body: keyBundle(call.origin, vault, key, await currentVersion(context, key)),
    changes: [put(keys, before.id, key, before.version)],
    id: kid(call.origin, key.name),
  }
}

async function purgeKey(context: DataContext): Promise<Outcome> {
  const { call, vault } = context
  const before = await findDeleted(context)
  // R08: Do Not Purge.
  if (vault.properties.enablePurgeProtection) throw purgeProtected(vault)
  return { ...(await destroyed(context, before)), status: 204, id: kid(call.origin, before.value.name) }
}

async function destroyed({ services, vault }: DataContext, key: Stored<Key>): Promise<Outcome> {
  const destruction = await destructionOf(services, vault, key.value)
  const changes: Change[] = [remove(keys, key.id, key.version), ...destruction.changes]
  return { changes, shred: true, afterwards: () => destroyMaterial(services, destruction) }
}

async function findDeleted({ services, vault, name }: DataContext): Promise<Stored<Key>> {
  const found = await services.records.get(keys, keyId(vault, name))
  if (found?.value.deleted === undefined) throw deletedKeyNotFound(name)
  return found
}

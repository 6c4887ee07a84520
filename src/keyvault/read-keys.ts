import type { Route } from '../http/route.ts'
import type { Outcome } from './audited.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { deletedKeyNotFound } from './errors.ts'
import { findKey, findVersion } from './find-version.ts'
import { keyId, keys, keyVersions, versionId, type Key, type KeyVersion } from './key-record.ts'
import { checkEnabled } from './key-rules.ts'
import { listPage } from './paging.ts'
import type { KeyVaultServices } from './services.ts'
import { deletionFields, keyBundle, keyItem, kid } from './wire-keys.ts'

/** Reading and listing keys, deleted ones too. */
export function readKeyRoutes(services: KeyVaultServices): Route[] {
  const get = { method: 'GET', permission: 'get' } as const
  const list = { method: 'GET', permission: 'list' } as const
  return [
    ...dataRoutes<undefined>(services, {
      ...get,
      paths: ['/keys/:name', '/keys/:name/:version'],
      operationName: 'KeyGet',
      run: getKey,
    }),
    ...dataRoutes<undefined>(services, { ...list, paths: ['/keys'], operationName: 'KeyList', run: listKeys }),
    ...dataRoutes<undefined>(services, {
      ...list,
      paths: ['/keys/:name/versions'],
      operationName: 'KeyListVersions',
      run: listVersions,
    }),
    ...dataRoutes<undefined>(services, {
      ...get,
      paths: ['/deletedkeys/:name'],
      operationName: 'KeyGetDeleted',
      run: getDeletedKey,
    }),
    ...dataRoutes<undefined>(services, {
      ...list,
      paths: ['/deletedkeys'],
      operationName: 'KeyListDeleted',
      run: listDeletedKeys,
    }),
  ]
}

async function getKey(context: DataContext): Promise<Outcome> {
  const { key, version } = await findVersion(context)
  checkEnabled(version.value, 'get')
  const { origin } = context.call
  return {
    body: keyBundle(origin, context.vault, key.value, version.value),
    id: kid(origin, key.value.name, version.value.version),
  }
}

async function listKeys(context: DataContext): Promise<Outcome> {
  return listNames(context, key => key.deleted === undefined)
}

async function listDeletedKeys(context: DataContext): Promise<Outcome> {
  return listNames(context, key => key.deleted !== undefined)
}

async function listNames(context: DataContext, keep: (key: Key) => boolean): Promise<Outcome> {
  const { services, call, vault } = context
  const { items, nextLink } = await listPage(call, services.records, keys, `${vault.id}/`, keep)
  const value = await Promise.all(
    items.map(async ({ value: key }) => {
      const version = await currentVersion(context, key)
      return { ...keyItem(call.origin, vault, key, version, false), ...deletionFields(call.origin, key) }
    }),
  )
  return { body: { value, nextLink: nextLink ?? null } }
}

async function listVersions(context: DataContext): Promise<Outcome> {
  const { services, call, vault, name } = context
  const { value: key } = await findKey(context)
  const { items, nextLink } = await listPage(call, services.records, keyVersions, `${keyId(vault, name)}/`)
  const value = items.map(item => keyItem(call.origin, vault, key, item.value, true))
  return { body: { value, nextLink: nextLink ?? null } }
}

async function getDeletedKey(context: DataContext): Promise<Outcome> {
  const { services, call, vault, name } = context
  const key = (await services.records.get(keys, keyId(vault, name)))?.value
  if (key?.deleted === undefined) throw deletedKeyNotFound(name)
  return { body: deletedKeyBundle(call.origin, context, key, await currentVersion(context, key)) }
}

export function deletedKeyBundle(origin: string, { vault }: DataContext, key: Key, version: KeyVersion): object {
  return { ...keyBundle(origin, vault, key, version), ...deletionFields(origin, key) }
}

export async function currentVersion({ services, vault }: DataContext, key: Key): Promise<KeyVersion> {
  const found = await services.records.get(keyVersions, versionId(vault, key.name, key.current))
  if (found === undefined) throw new Error(`The key ${key.name} of vault ${vault.id} lacks its newest version.`)
  return found.value
}

import type { Route } from '../http/route.ts'
import { openBox, sealBox } from '../crypto/box.ts'
import { encodeContext } from '../crypto/encode-context.ts'
import { SealError } from '../crypto/seal-error.ts'
import { wipe } from '../crypto/wrap.ts'
import { Conflict } from '../http/errors.ts'
import { put } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import { checkSku } from './create-key.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { badParameter, keyIsDeleted } from './errors.ts'
import { findKey } from './find-version.ts'
import { keyId, keys, keyVersions, versionId, type Key, type KeyVersion } from './key-record.ts'
import { restoreBody } from './key-requests.ts'
import { currentVersion } from './read-keys.ts'
import type { KeyVaultServices } from './services.ts'
import type { Vault } from './vault-record.ts'
import { keyBundle, kid } from './wire-keys.ts'

/** The plain content of a backup. It leaves the service only sealed under the key of the embedded HSM. */
interface Backup {
  readonly key: Key
  readonly versions: readonly { readonly version: KeyVersion; readonly material: string }[]
}

/** As Azure: a backup holds at most so many versions. */
const MAX_BACKUP_VERSIONS = 500

/** A key with all its versions, as bytes that only vaults of the same subscription and region can restore. */
export function backupRoutes(services: KeyVaultServices): Route[] {
  return [
    ...dataRoutes<undefined>(services, {
      method: 'POST',
      paths: ['/keys/:name/backup'],
      operationName: 'KeyBackup',
      permission: 'backup',
      run: backup,
    }),
    ...dataRoutes(services, {
      method: 'POST',
      paths: ['/keys/restore'],
      operationName: 'KeyRestore',
      permission: 'restore',
      maxBody: 2 * 1024 * 1024,
      body: restoreBody,
      run: (context, { value }) => restore(context, value),
    }),
  ]
}

async function backup(context: DataContext): Promise<Outcome> {
  const { services, call, vault } = context
  const { id, value: key } = await findKey(context)
  const versions = await services.records.list(keyVersions, { prefix: `${id}/`, limit: MAX_BACKUP_VERSIONS + 1 })
  if (versions.length > MAX_BACKUP_VERSIONS) {
    throw badParameter(`Key ${key.name} has more than the ${MAX_BACKUP_VERSIONS} versions that a backup can hold.`)
  }
  const held: Backup = {
    key,
    versions: await Promise.all(
      versions.map(async ({ value: version }) => {
        const material = await services.materials.reveal(vault, key.name, version.version)
        const isOutside = services.module.outside?.(version.kty, material) !== undefined
        const text = material.toString('base64')
        wipe(material)
        if (isOutside) throw notExportable(key.name)
        return { version, material: text }
      }),
    ),
  }
  const plain = Buffer.from(JSON.stringify(held))
  try {
    const value = sealBox(services.hsmKey, bound(vault), plain).toString('base64url')
    return { body: { value }, id: kid(call.origin, key.name) }
  } catch (error) {
    if (error instanceof SealError) throw badParameter(`Key ${key.name} has too many versions for a backup.`)
    throw error
  } finally {
    wipe(plain)
  }
}

function notExportable(name: string): Error {
  return badParameter(
    `Key ${name} lives in a PKCS #11 token that never gives it away, so the vault can't back it up. Back up the token with its own tools.`,
  )
}

async function restore(context: DataContext, sealed: Buffer): Promise<Outcome> {
  const { services, call, vault } = context
  const { key, versions } = opened(services, vault, sealed)
  for (const { version } of versions) checkSku(context, version.kty)
  const present = await services.records.get(keys, keyId(vault, key.name))
  if (present?.value.deleted !== undefined) throw keyIsDeleted(key.name)
  if (present !== undefined) {
    throw new Conflict(
      'Conflict',
      `Key ${key.name} exists in this vault: a backup restores only where its name is free.`,
      {
        innererror: { code: 'ObjectAlreadyExists' },
      },
    )
  }
  const changes = [
    put(keys, keyId(vault, key.name), key, 0),
    ...versions.flatMap(({ version, material }) => [
      put(keyVersions, versionId(vault, key.name, version.version), version, 0),
      services.materials.seal(vault, key.name, version.version, Buffer.from(material, 'base64')),
    ]),
  ]
  const current = versions.find(({ version }) => version.version === key.current)?.version
  return {
    body: keyBundle(call.origin, vault, key, current ?? (await currentVersion(context, key))),
    changes,
    id: kid(call.origin, key.name),
  }
}

function opened(services: KeyVaultServices, vault: Vault, sealed: Buffer): Backup {
  try {
    const plain = openBox(services.hsmKey, bound(vault), sealed)
    const backup = JSON.parse(plain.toString()) as Backup
    wipe(plain)
    return backup
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    throw badParameter(
      "'value' is not a backup that this vault can restore: it comes from another subscription or region, from another installation, or it was altered.",
      'value',
    )
  }
}

function bound(vault: Vault): Buffer {
  return encodeContext('key vault backup', vault.subscriptionId.toLowerCase(), vault.location)
}

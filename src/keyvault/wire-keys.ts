import { isHsm, recoveryLevel, type Key, type KeyVersion } from './key-record.ts'
import type { Vault } from './vault-record.ts'

/** `https://<host asked>/keys/<name>[/<version>]`: ids follow the request's host, so that they survive another port or name. */
export function kid(origin: string, name: string, version?: string): string {
  return `${origin}/keys/${name}${version === undefined ? '' : `/${version}`}`
}

/** A KeyBundle, as create, get, update and rotate return it. */
export function keyBundle(origin: string, vault: Vault, key: Key, version: KeyVersion): object {
  return {
    key: {
      kid: kid(origin, key.name, version.version),
      kty: version.kty,
      key_ops: version.keyOps,
      ...version.publicPart,
    },
    attributes: attributes(vault, version),
    ...(version.tags === undefined ? {} : { tags: version.tags }),
  }
}

/** An entry of a list: `/keys` names keys without a version, `/keys/<name>/versions` with it. */
export function keyItem(origin: string, vault: Vault, key: Key, version: KeyVersion, versioned: boolean): object {
  return {
    kid: kid(origin, key.name, versioned ? version.version : undefined),
    attributes: attributes(vault, version),
    ...(version.tags === undefined ? {} : { tags: version.tags }),
  }
}

/** Fields that deleted keys add to bundles and list entries. */
export function deletionFields(origin: string, key: Key): object {
  if (key.deleted === undefined) return {}
  return {
    recoveryId: `${origin}/deletedkeys/${key.name}`,
    deletedDate: Math.floor(key.deleted.at / 1000),
    scheduledPurgeDate: Math.floor(key.deleted.purgeAt / 1000),
  }
}

function attributes(vault: Vault, version: KeyVersion): object {
  const { enabled, nbf, exp, created, updated, exportable, kty } = version
  return {
    enabled,
    ...(nbf === undefined ? {} : { nbf }),
    ...(exp === undefined ? {} : { exp }),
    created,
    updated,
    recoveryLevel: recoveryLevel(vault),
    recoverableDays: vault.properties.enableSoftDelete ? vault.properties.softDeleteRetentionInDays : 0,
    ...(exportable === undefined ? {} : { exportable }),
    // 0: software behind the HSM key types, no validated module (SECURITY.md).
    ...(isHsm(kty) ? { hsmPlatform: '0' } : {}),
  }
}

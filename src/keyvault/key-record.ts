import { collection } from '../store/records.ts'
import type { Deletion, Vault } from './vault-record.ts'

export const KEY_TYPES = ['RSA', 'RSA-HSM', 'EC', 'EC-HSM', 'oct-HSM'] as const
export type KeyType = (typeof KEY_TYPES)[number]

export const CURVES = ['P-256', 'P-384', 'P-521', 'P-256K'] as const
export type Curve = (typeof CURVES)[number]

/** The public half as it goes over the wire, base64url without padding; empty for symmetric keys. */
export interface PublicPart {
  readonly n?: string
  readonly e?: string
  readonly crv?: Curve
  readonly x?: string
  readonly y?: string
}

export type LifetimeActionType = 'Rotate' | 'Notify'

export interface LifetimeAction {
  readonly trigger: { readonly timeAfterCreate?: string; readonly timeBeforeExpiry?: string }
  readonly action: { readonly type: LifetimeActionType }
}

export interface RotationPolicy {
  readonly lifetimeActions: readonly LifetimeAction[]
  /** ISO 8601 duration after its creation when a new version expires. */
  readonly expiryTime?: string
  /** Seconds since 1970. */
  readonly created: number
  readonly updated: number
}

/** A key's name with what all its versions share. */
export interface Key {
  /** As it was spelled at creation. Names compare without letter case. */
  readonly name: string
  /** The newest version, which paths without a version mean. */
  readonly current: string
  readonly rotationPolicy?: RotationPolicy
  readonly deleted?: Deletion
}

export interface KeyVersion {
  /** 32 hexadecimal digits. */
  readonly version: string
  readonly kty: KeyType
  /** Bits; the curve's for EC. */
  readonly size: number
  readonly publicPart: PublicPart
  readonly keyOps: readonly string[]
  readonly enabled: boolean
  /** Seconds since 1970, as all times of a version. */
  readonly nbf?: number
  readonly exp?: number
  readonly created: number
  readonly updated: number
  readonly exportable?: boolean
  readonly tags?: Readonly<Record<string, string>>
  /** Whether the near-expiry notice of the rotation policy was given. */
  readonly notified?: true
  /** Whether its expiry was recorded. */
  readonly expiryNotified?: true
}

/** Private key material, sealed under the key of the embedded HSM. It has a collection of its own, so that no list loads it. */
export interface SealedMaterial {
  /** base64 */
  readonly sealed: string
}

/** By `<vault id>/<name in lower case>`. */
export const keys = collection<Key>('keyvault.keys')
/** By `<vault id>/<name in lower case>/<version>`. */
export const keyVersions = collection<KeyVersion>('keyvault.key-versions')
/** By the id of its version. */
export const keyMaterial = collection<SealedMaterial>('keyvault.key-material')
/** Parts of purged keys outside of the records that are still to be destroyed, by the key module's name for them. */
export const destructions = collection<object>('keyvault.destructions')

export function keyId(vault: Vault, name: string): string {
  return `${vault.id}/${name.toLowerCase()}`
}

export function versionId(vault: Vault, name: string, version: string): string {
  return `${keyId(vault, name)}/${version.toLowerCase()}`
}

export function isHsm(kty: KeyType): boolean {
  return kty.endsWith('-HSM')
}

/** How a deletion in this vault can be undone (contract: DeletionRecoveryLevel). */
export function recoveryLevel(vault: Vault): string {
  const { enableSoftDelete, enablePurgeProtection, softDeleteRetentionInDays } = vault.properties
  if (!enableSoftDelete) return 'Purgeable'
  const level = softDeleteRetentionInDays < 90 ? 'CustomizedRecoverable' : 'Recoverable'
  return enablePurgeProtection ? level : `${level}+Purgeable`
}

const DAY = 86_400_000

/** R08: a deleted key is kept for the vault's retention period. */
export function deletion(vault: Vault, now: number): Deletion {
  return { at: now, purgeAt: now + vault.properties.softDeleteRetentionInDays * DAY }
}

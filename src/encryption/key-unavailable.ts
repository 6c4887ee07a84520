import { Forbidden, type InnerError } from '../http/errors.ts'

/** Why a customer-managed key can't be used: the inner error's code. */
export type KeyUnavailableCause =
  | 'AccessDenied'
  | 'RbacAuthorization'
  | 'FirewallDenied'
  | 'KeyDisabled'
  | 'KeyExpired'
  | 'KeyNotFound'
  | 'KeyPurged'
  | 'VaultNotFound'
  | 'VaultNotAllowed'
  | 'CredentialUnavailable'
  | 'IdentityMissing'
  | 'IdentityLeftBehind'
  | 'TenantMismatch'
  | 'KeyOperationForbidden'
  | 'KeyReplaced'
  | 'Unreachable'
  | 'Refused'

const REMEDY: Record<KeyUnavailableCause, string> = {
  AccessDenied:
    "Give the resource's system-assigned identity the key permissions get, wrapKey and unwrapKey in the vault's access policies.",
  RbacAuthorization:
    'The vault is in RBAC mode, where its access policies do not count: turn enableRbacAuthorization off again.',
  FirewallDenied: "Let trusted Microsoft services through the vault's firewall (networkAcls.bypass = AzureServices).",
  KeyDisabled: 'Enable the key version again.',
  KeyExpired:
    'The key version is before its activation date or past its expiry: move that date, or change to a new version.',
  KeyNotFound: 'Recover the deleted key. If it was purged, the data under it is gone for good.',
  KeyPurged:
    'The key was purged, and the data under it is gone for good: only a backup of the key, restored into the vault, would open it again.',
  VaultNotAllowed:
    "The operator of this service allows no calls to that vault: it is neither one of this cloud's nor named by --outside-vaults.",
  CredentialUnavailable:
    "The operator's credential for vaults outside this cloud gives no token: its operator finds the reason in the service's log.",
  VaultNotFound: 'Recover the deleted vault. If it was purged, the data under its keys is gone for good.',
  IdentityMissing: "Turn the resource's system-assigned identity on and give the new principal access to the vault.",
  IdentityLeftBehind:
    "The subscription was moved to another tenant, and the resource's identity stayed behind. Turn the system-assigned identity off and on again, set the vault's tenantId to the new tenant, and give the new principal access to the vault.",
  TenantMismatch: 'The vault and the resource must be in the same Microsoft Entra tenant.',
  KeyOperationForbidden: 'Allow wrapKey and unwrapKey in the key operations of the key version.',
  KeyReplaced:
    'The vault opened something else than what was stored: restore the key that the account was encrypted with.',
  Unreachable: 'The vault does not answer: check that it is running and reachable, then try again.',
  Refused: "See the vault's own error.",
}

/** 403 CustomerManagedKeyUnavailable: never 409, 429 or 5xx, which clients would retry (R22, R23, R24). */
export class KeyUnavailable extends Forbidden {
  readonly reason: KeyUnavailableCause
  readonly keyId: string

  /** @param consequence a sentence that goes before: what can't be done for want of the key */
  constructor(reason: KeyUnavailableCause, keyId: string, inner?: InnerError, consequence = '') {
    const key = keyName(keyId)
    super(
      'CustomerManagedKeyUnavailable',
      `${consequence}The customer-managed key ${key} can't be used (${reason}). ${REMEDY[reason]}`,
      { innererror: { code: reason, ...(inner === undefined ? {} : { innererror: inner }) } },
    )
    this.name = 'KeyUnavailable'
    this.reason = reason
    this.keyId = keyId
  }

  /** The same, saying what can't be done for want of the key. */
  because(consequence: string): KeyUnavailable {
    return new KeyUnavailable(this.reason, this.keyId, this.options.innererror?.innererror, `${consequence} `)
  }
}

function keyName(keyId: string): string {
  const match = /^https:\/\/([^/]+)\/keys\/([^/]+)/.exec(keyId)
  return match === null ? `'${keyId}'` : `'${match[2]}' in the key vault '${match[1]?.split('.')[0]}' (${keyId})`
}

import { Forbidden, type InnerError } from '../http/errors.ts'

/** Why a customer-managed key can't be used: the inner error's code. */
export type KeyUnavailableCause =
  | 'AccessDenied'
  | 'Forbidden'
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
  | 'TokenRefused'
  | 'ChallengeMismatch'
  | 'KeyOperationForbidden'
  | 'KeyReplaced'
  | 'Unreachable'
  | 'Throttled'
  | 'VaultFailed'
  | 'LeaseEnded'
  | 'Refused'

const REMEDY: Record<KeyUnavailableCause, string> = {
  AccessDenied:
    "Give the resource's system-assigned identity the key permissions get, wrapKey and unwrapKey in the vault's access policies.",
  Forbidden:
    'The vault refuses and does not say why, and of the key nothing could be read that would: see that get, wrapKey and unwrapKey are permitted, and that the key is enabled, within its dates and allows both operations.',
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
  TokenRefused:
    "The vault refuses the token, and a new one as well; it is not of another tenant. See the vault's own error, and compare the clocks.",
  ChallengeMismatch:
    "The vault asks for a token for a resource that its host does not belong to, so none was sent. The operator of the vault makes it ask for a domain above its host; or, if that resource is right, the operator of this service names it: --outside-vaults 'HOST=RESOURCE'.",
  KeyOperationForbidden: 'Allow wrapKey and unwrapKey in the key operations of the key version.',
  KeyReplaced:
    'The vault opened something else than what was stored: restore the key that the account was encrypted with.',
  Unreachable: 'The vault does not answer: check that it is running and reachable, then try again.',
  Throttled:
    'The vault takes no more requests for now (429). It is left alone for as long as it says, a minute at most, and asked again at the next use. Where it goes on, fewer keys in one vault or a longer lease (--key-lease-seconds) make fewer requests.',
  VaultFailed:
    "The vault fails (5xx), which says nothing about the key: see the vault's own error, and try again when whoever runs it has set it right.",
  LeaseEnded:
    'The vault was not asked before its last permission ended: this machine slept, or the service stood still. Try again.',
  Refused: "See the vault's own error.",
}

const OPERATORS_RIGHT =
  "Give the operator's credential of this service, which asks on the resource's behalf, the rights get, wrapKey and unwrapKey in the vault: by an access policy, or where the vault goes by roles, by a role such as Key Vault Crypto Service Encryption User."

/** For a vault that is not this cloud's, where the operator's credential asks and Resource Manager belongs to somebody else. */
const REMEDY_OUTSIDE: Partial<Record<KeyUnavailableCause, string>> = {
  AccessDenied: OPERATORS_RIGHT,
  RbacAuthorization: OPERATORS_RIGHT,
  FirewallDenied: "Let the addresses of this service through the vault's firewall.",
  TenantMismatch:
    "The operator's credential of this service is of another Microsoft Entra tenant than the vault: its operator configures one of the vault's tenant.",
  IdentityMissing: "Turn the resource's system-assigned identity on.",
  IdentityLeftBehind:
    "The subscription was moved to another tenant, and the resource's identity stayed behind. Turn the system-assigned identity off and on again.",
}

export interface KeyUnavailableOptions {
  /** A sentence in front: what can't be done without the key. */
  readonly consequence?: string
  /** Whether the key is in a vault that is not this cloud's. */
  readonly isOutside?: boolean
}

/** Reasons that are not a refusal. A running lease is used to its end, and the next question may be answered. */
const SILENCE = new Set<KeyUnavailableCause>(['Unreachable', 'Throttled', 'VaultFailed', 'LeaseEnded'])

/** 403 CustomerManagedKeyUnavailable: never 409, 429 or 5xx, which clients would retry (R22, R23, R24). */
export class KeyUnavailable extends Forbidden {
  readonly reason: KeyUnavailableCause
  readonly keyId: string

  readonly isOutside: boolean

  constructor(
    reason: KeyUnavailableCause,
    keyId: string,
    inner?: InnerError,
    { consequence = '', isOutside = false }: KeyUnavailableOptions = {},
  ) {
    const key = keyName(keyId)
    const remedy = (isOutside ? REMEDY_OUTSIDE[reason] : undefined) ?? REMEDY[reason]
    super(
      'CustomerManagedKeyUnavailable',
      `${consequence}The customer-managed key ${key} can't be used (${reason}). ${remedy}`,
      { innererror: { code: reason, ...(inner === undefined ? {} : { innererror: inner }) } },
    )
    this.name = 'KeyUnavailable'
    this.reason = reason
    this.keyId = keyId
    this.isOutside = isOutside
  }

  /** Whether the vault did not refuse: it said nothing, or was not asked. */
  get isSilence(): boolean {
    return SILENCE.has(this.reason)
  }

  /** The same refusal, with a more exact reason. */
  withReason(reason: KeyUnavailableCause): KeyUnavailable {
    return new KeyUnavailable(reason, this.keyId, this.options.innererror?.innererror, { isOutside: this.isOutside })
  }

  /** The same, with what can't be done without the key. */
  because(consequence: string): KeyUnavailable {
    return new KeyUnavailable(this.reason, this.keyId, this.options.innererror?.innererror, {
      consequence: `${consequence} `,
      isOutside: this.isOutside,
    })
  }
}

function keyName(keyId: string): string {
  const match = /^https:\/\/([^/]+)\/keys\/([^/]+)/.exec(keyId)
  return match === null ? `'${keyId}'` : `'${match[2]}' in the key vault '${match[1]?.split('.')[0]}' (${keyId})`
}

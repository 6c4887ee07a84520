import { isRestError } from '@azure/core-rest-pipeline'
import { foreignCode } from '../http/error-codes.ts'
import type { InnerError } from '../http/errors.ts'
import { KeyUnavailable, type KeyUnavailableCause } from './key-unavailable.ts'
import type { VaultAnswer } from './vault-answer.ts'

/** `CredentialUnavailable`, `ChallengeMismatch`: for outside vaults, where the operator's own credential is used. */
type IdentityProblem =
  | 'IdentityMissing'
  | 'IdentityLeftBehind'
  | 'CredentialUnavailable'
  | 'ChallengeMismatch'
  | 'TenantMismatch'

/**
 * Thrown by a credential that can't give a token: the account has no identity any more (R31), the identity is in another tenant (R32), or,
 * for an outside vault, the operator's credential can't or must not give one. The message is for the customer.
 */
export class IdentityMissing extends Error {
  readonly reason: IdentityProblem

  constructor(message: string, reason: IdentityProblem = 'IdentityMissing') {
    super(message)
    this.name = 'IdentityMissing'
    this.reason = reason
  }
}

const CAUSE_BY_INNER: Readonly<Record<string, KeyUnavailableCause>> = {
  AccessDenied: 'AccessDenied',
  ForbiddenByPolicy: 'AccessDenied',
  ForbiddenByRbac: 'RbacAuthorization',
  ForbiddenByFirewall: 'FirewallDenied',
  ForbiddenByConnection: 'FirewallDenied',
  KeyDisabled: 'KeyDisabled',
  KeyExpired: 'KeyExpired',
  KeyNotYetValid: 'KeyExpired',
  KeyOperationForbidden: 'KeyOperationForbidden',
}

/** Our own inner codes, for cases in which the vault said nothing. */
const NO_ANSWER = 'NoAnswer'
const UNREADABLE = 'UnreadableAnswer'
const LEFT_ALONE = 'LeftAlone'

/** The key that could not be used, and its account. */
interface Place {
  readonly keyId: string
  /** Whether it is in a vault that is not this cloud's. */
  readonly isOutside: boolean
}

/**
 * Names the cause of a vault's refusal or silence, with the vault's own error as inner error.
 * @param error what the client library threw. It counts only where the vault did not answer, and is never shown as the vault's message
 */
export function keyUnavailableFrom(
  error: unknown,
  { keyId, isOutside }: Place,
  answer: VaultAnswer | undefined,
): KeyUnavailable {
  if (error instanceof KeyUnavailable) return error
  const place = { isOutside }
  if (error instanceof IdentityMissing)
    return new KeyUnavailable(error.reason, keyId, { code: error.reason, message: error.message }, place)
  if (answer === undefined) return new KeyUnavailable('Unreachable', keyId, silence(error), place)
  return new KeyUnavailable(causeOf(answer), keyId, vaultsOwnError(answer), place)
}

/** The vault is not asked, because it asked for a pause. */
export function throttled({ keyId, isOutside }: Place, milliseconds: number): KeyUnavailable {
  const message = `The vault asked to be left alone for another ${Math.ceil(milliseconds / 1000)} s.`
  return new KeyUnavailable('Throttled', keyId, { code: LEFT_ALONE, message }, { isOutside })
}

/** Whether an inner error is the vault's own, and not our text about its silence. */
export function isVaultsWord(inner: InnerError | undefined): boolean {
  return inner?.message !== undefined && ![NO_ANSWER, UNREADABLE, LEFT_ALONE].includes(inner.code)
}

function causeOf({ status, error, ...answer }: VaultAnswer): KeyUnavailableCause {
  const named = CAUSE_BY_INNER[error?.innererror?.code ?? ''] ?? CAUSE_BY_INNER[error?.code ?? '']
  if (named !== undefined) return named
  if (status === 401) return isOtherTenant({ error, ...answer }) ? 'TenantMismatch' : 'TokenRefused'
  // Anything may answer 404 in another form, such as a proxy. That says nothing about the key.
  if (status === 404 && (error?.code === 'KeyNotFound' || error?.code === 'VaultNotFound')) return error.code
  if (status === 429) return 'Throttled'
  if (status >= 500) return 'VaultFailed'
  return status === 403 ? 'Forbidden' : 'Refused'
}

/** R07: by the vault's message (AKV10032), or because its challenge names another tenant than the token's. */
function isOtherTenant({
  error,
  tenantAsked,
  tenantOfToken,
}: Pick<VaultAnswer, 'error' | 'tenantAsked' | 'tenantOfToken'>): boolean {
  if (/AKV10032|invalid issuer/i.test(error?.message ?? '')) return true
  return tenantAsked !== undefined && tenantOfToken !== undefined && tenantAsked !== tenantOfToken
}

function vaultsOwnError({ status, error }: VaultAnswer): InnerError {
  if (error?.code !== undefined)
    return {
      code: foreignCode(error.code),
      ...(error.message === undefined ? {} : { message: error.message }),
      ...(error.innererror?.code === undefined ? {} : { innererror: { code: foreignCode(error.innererror.code) } }),
    }
  return {
    code: UNREADABLE,
    message: `The vault answered ${status}, and not in the words of a key vault: look at what stands at its address.`,
  }
}

/** The network's error, by its code. */
function silence(error: unknown): InnerError {
  const code = isRestError(error) ? error.code : (error as { code?: unknown } | undefined)?.code
  const known = typeof code === 'string' && /^[A-Z0-9_]{3,50}$/.test(code) ? ` (${code})` : ''
  return { code: NO_ANSWER, message: `No answer of the vault came${known}.` }
}

import { isRestError, type PipelinePolicy, type PipelineRequest } from '@azure/core-rest-pipeline'
import type { InnerError } from '../http/errors.ts'
import { KeyUnavailable, type KeyUnavailableCause } from './key-unavailable.ts'

/** `CredentialUnavailable`: for vaults outside, the operator's own. */
type IdentityProblem = 'IdentityMissing' | 'IdentityLeftBehind' | 'CredentialUnavailable'

/** Thrown by a credential when the account has no identity (any more): R31, or when it lives in another tenant: R32. */
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

/** Names the cause of a vault's refusal or silence; the vault's own error goes along as inner error. */
export function keyUnavailableFrom(error: unknown, keyId: string): KeyUnavailable {
  if (error instanceof KeyUnavailable) return error
  if (error instanceof IdentityMissing)
    return new KeyUnavailable(error.reason, keyId, { code: error.reason, message: error.message })
  const inner = vaultsOwnError(error)
  return new KeyUnavailable(causeOf(error, inner), keyId, inner)
}

function causeOf(error: unknown, inner: InnerError): KeyUnavailableCause {
  if (!isRestError(error) || error.statusCode === undefined) return 'Unreachable'
  const deepest = inner.innererror?.code ?? inner.code
  const named = CAUSE_BY_INNER[deepest]
  if (named !== undefined) return named
  if (error.statusCode === 404) return inner.code === 'KeyNotFound' ? 'KeyNotFound' : 'VaultNotFound'
  if (error.statusCode === 401) return 'TenantMismatch'
  if (error.statusCode === 429 || error.statusCode >= 500) return 'Unreachable'
  return error.statusCode === 403 ? 'AccessDenied' : 'Refused'
}

const refusals = new WeakMap<PipelineRequest, string>()

/** Keeps the text of refusals: the SDK's error drops the inner code, which alone tells a disabled key from a missing permission. */
export const keepRefusals: PipelinePolicy = {
  name: 'ownkeyKeepRefusals',
  sendRequest: async (request, next) => {
    const response = await next(request)
    if (response.status >= 400 && typeof response.bodyAsText === 'string') refusals.set(request, response.bodyAsText)
    return response
  },
}

function refusalBody(error: unknown): InnerErrorBody | undefined {
  if (!isRestError(error)) return undefined
  const kept = error.request && refusals.get(error.request)
  try {
    const body = kept === undefined ? error.details : (JSON.parse(kept) as unknown)
    return (body as { error?: InnerErrorBody } | undefined)?.error
  } catch {
    return undefined
  }
}

function vaultsOwnError(error: unknown): InnerError {
  const body = refusalBody(error)
  if (body?.code !== undefined)
    return {
      code: body.code,
      ...(body.message === undefined ? {} : { message: body.message }),
      ...(body.innererror?.code === undefined ? {} : { innererror: { code: body.innererror.code } }),
    }
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: isRestError(error) ? (error.code ?? 'RequestFailed') : 'RequestFailed',
    message: message.slice(0, 500),
  }
}

interface InnerErrorBody {
  readonly code?: string
  readonly message?: string
  readonly innererror?: { readonly code?: string }
}

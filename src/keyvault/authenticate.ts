import { INVALID_AUDIENCE, TOKEN_NOT_YET_VALID, UNKNOWN_SIGNING_KEY } from '../entra/tokens.ts'
import { AzureError } from '../http/errors.ts'
import type { Authenticator, Call, Caller } from '../http/route.ts'
import { auditEvent } from '../audit/audit-event.ts'
import { vaultNotFound } from './errors.ts'
import type { KeyVaultServices } from './services.ts'
import { liveVault, vaultResourceId, type Vault } from './vault-record.ts'

/** Azure Key Vault's application id, which is an audience too. */
const KEY_VAULT_APP = 'cfa8b339-82a2-471a-a3c9-0fc0be7a4093'

/** Takes tokens of the vault's own tenant. Every refusal has the challenge that tells clients where to get one. */
export function vaultAuthenticator(services: KeyVaultServices): Authenticator {
  return async call => {
    const started = performance.now()
    const found = await liveVault(services.records, call.label)
    if (found === undefined) throw vaultNotFound(call.label)
    try {
      return await callerOf(services, call, found.value)
    } catch (error) {
      if (!(error instanceof AzureError) || error.status !== 401) throw error
      const refused = challenged(services, found.value, error)
      await services.audit.append(
        auditEvent(call, services.env.now(), {
          operationName: 'Authentication',
          resourceId: vaultResourceId(found.value),
          status: 401,
          description: refused.message,
          durationMs: performance.now() - started,
        }),
      )
      throw refused
    }
  }
}

async function callerOf(services: KeyVaultServices, call: Call, vault: Vault): Promise<Caller> {
  const [scheme = '', token = '', ...more] = (call.headers.get('authorization') ?? '').trim().split(/ +/)
  if (scheme.toLowerCase() !== 'bearer' || token === '' || more.length > 0) {
    throw unauthorized('AKV10000: Request is missing a Bearer or PoP token.')
  }
  const resources = [services.vaultResource(), 'https://vault.azure.net'].flatMap(resource => [
    resource,
    `${resource}/`,
  ])
  const caller = await services.verifyToken(token, { audiences: [...resources, KEY_VAULT_APP] })
  // R07: a vault takes tokens of its own tenant only, though other tenants share its signing keys.
  if (caller.tenantId === vault.properties.tenantId) return caller
  const issuer = (tenantId: string): string => `https://sts.windows.net/${tenantId}/`
  throw unauthorized(
    `AKV10032: Invalid issuer. Expected one of ${issuer(vault.properties.tenantId)}, found ${issuer(caller.tenantId)}.`,
  )
}

function unauthorized(message: string): AzureError {
  return new AzureError('Unauthorized', 401, message)
}

/** Clients split the header at spaces, and use the whole path of `authorization` as the tenant. */
function challenged(services: KeyVaultServices, vault: Vault, error: AzureError): AzureError {
  const authorization = services.authority(vault.properties.tenantId)
  const challenge = `Bearer authorization="${authorization}", resource="${services.vaultResource()}"`
  const inner = error.options.innererror?.code ?? ''
  const isRenewable =
    error.code === 'ExpiredAuthenticationToken' || inner === TOKEN_NOT_YET_VALID || inner === UNKNOWN_SIGNING_KEY
  const renewal = isRenewable ? `, ${renewalChallenge(services.env.now())}` : ''
  const message = `${AKV_BY_INNER[inner] ?? ''}${error.message}`
  return new AzureError('Unauthorized', 401, message, {
    headers: { 'www-authenticate': challenge + renewal },
    cause: error,
  })
}

/** The beginnings of Key Vault's messages. */
const AKV_BY_INNER: Readonly<Record<string, string>> = {
  [INVALID_AUDIENCE]: 'AKV10022: Invalid audience. ',
  [UNKNOWN_SIGNING_KEY]: 'AKV10046: Unable to resolve the key used for signature validation. ',
}

/**
 * A token that expired, is not yet valid by our clock, or whose signing key is gone, may be valid by the client's clock. The client would
 * send it from its cache for ever, so a claims challenge (continuous access evaluation) makes it fetch a new one.
 */
function renewalChallenge(now: number): string {
  const claims = { access_token: { nbf: { essential: true, value: String(Math.floor(now / 1000)) } } }
  return `error="insufficient_claims", claims="${Buffer.from(JSON.stringify(claims)).toString('base64')}"`
}

import type { KeyVaultKey } from '@azure/keyvault-keys'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { VaultKey } from '../encryption/vault-key.ts'
import { AzureError, type ErrorDetail } from '../http/errors.ts'
import type { Account } from './account.ts'
import type { VaultDescription } from './vault-directory.ts'

/** The vault's settings against the article, R07 to R10. */
export function checkVault(account: Account, tenantId: string, vault: VaultDescription): ErrorDetail[] {
  const findings: ErrorDetail[] = []
  const update = `az keyvault update --name ${vault.name}`
  const add = (code: string, message: string): void => void findings.push({ code, message, target: vault.id })
  if (vault.location !== account.location)
    add(
      'R07.RegionMismatch',
      `The vault is in ${vault.location}, the resource in ${account.location}: they must be in the same region. Use a vault in ${account.location}.`,
    )
  if (vault.tenantId !== tenantId)
    add(
      'R07.TenantMismatch',
      `The vault belongs to tenant ${vault.tenantId}, the resource to ${tenantId}: they must be in the same Microsoft Entra tenant.`,
    )
  if (!vault.softDelete) add('R08.SoftDeleteOff', `Soft delete is off. Run: ${update} --enable-soft-delete true`)
  if (!vault.purgeProtection)
    add(
      'R08.PurgeProtectionOff',
      `Purge protection (Do Not Purge) is off. Run (it can't be undone): ${update} --enable-purge-protection true`,
    )
  if (vault.firewall && !vault.trustedServices)
    add(
      'R09.TrustedServicesBlocked',
      `The vault's firewall does not let trusted Microsoft services through. Run: ${update} --bypass AzureServices`,
    )
  if (vault.rbacAuthorization)
    add(
      'R10.RbacAuthorization',
      `The vault is in RBAC mode; it must use access policies. Run: ${update} --enable-rbac-authorization false`,
    )
  return findings
}

/** The key's type, size and state against the article, R12. */
export function checkKey(key: KeyVaultKey, now: number): ErrorDetail[] {
  const findings: ErrorDetail[] = []
  const target = key.id ?? key.name
  const add = (code: string, message: string): void => void findings.push({ code, message, target })
  const bits = key.key?.n === undefined ? undefined : modulusBits(key.key.n)
  if (key.keyType !== 'RSA' && key.keyType !== 'RSA-HSM')
    add('R12.KeyType', `The key is of type ${key.keyType}: only RSA and RSA-HSM keys of size 2048 are supported.`)
  else if (bits !== 2048)
    add('R12.KeySize', `The key has ${bits} bits: only RSA and RSA-HSM keys of size 2048 are supported.`)
  const { enabled, notBefore, expiresOn } = key.properties
  if (enabled === false) add('R12.KeyDisabled', 'The key version is disabled. Enable it first.')
  if (expiresOn !== undefined && expiresOn.getTime() <= now)
    add('R12.KeyExpired', `The key version expired at ${expiresOn.toISOString()}.`)
  if (notBefore !== undefined && notBefore.getTime() > now)
    add('R12.KeyNotYetValid', `The key version is valid from ${notBefore.toISOString()} only.`)
  for (const operation of ['wrapKey', 'unwrapKey']) {
    if (key.keyOperations !== undefined && !key.keyOperations.includes(operation))
      add('R12.KeyOperations', `The key's operations lack ${operation}.`)
  }
  return findings
}

/** R11: tries get, wrapKey and unwrapKey with the account's identity, each by itself, and names every one that fails. */
export async function checkAccess(key: VaultKey): Promise<{ findings: ErrorDetail[]; read?: KeyVaultKey }> {
  const findings: ErrorDetail[] = []
  const attempt = async <T>(permission: string, operation: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await operation()
    } catch (error) {
      if (!(error instanceof KeyUnavailable)) throw error
      // A vault that opens garbage with "bad parameter" has checked the permission before.
      if (error.reason === 'Refused' && permission === 'unwrapKey') return undefined
      findings.push(accessFinding(permission, key.id, error))
      return undefined
    }
  }
  const read = await attempt('get', () => key.read())
  const wrapped = await attempt('wrapKey', () => key.wrap(Buffer.alloc(32)))
  await attempt('unwrapKey', () => key.unwrap(wrapped ?? Buffer.alloc(256, 1)))
  return { findings, ...(read === undefined ? {} : { read }) }
}

/** One error that names every unmet requirement. */
export function requirementsNotMet(findings: readonly ErrorDetail[]): AzureError {
  const list = findings.map(({ code, message }) => `${code}: ${message}`).join(' ')
  return new AzureError(
    'CustomerManagedKeyRequirementsNotMet',
    400,
    `The customer-managed key can't be used; ${findings.length} requirement(s) not met. ${list}`,
    {
      details: findings,
      target: 'properties.encryption',
    },
  )
}

function accessFinding(permission: string, keyId: string, error: KeyUnavailable): ErrorDetail {
  const inner = error.options.innererror?.innererror?.message ?? error.message
  const code = error.reason === 'AccessDenied' ? 'R11.PermissionMissing' : `R11.${error.reason}`
  const grant =
    error.reason === 'AccessDenied'
      ? ` Run: az keyvault set-policy --name ${vaultName(keyId)} --object-id <principal id of the resource> --key-permissions get wrapKey unwrapKey.`
      : ''
  return {
    code,
    target: keyId,
    message: `The resource's identity can't do '${permission}' with the key.${grant} The vault says: ${inner}`,
  }
}

function vaultName(keyId: string): string {
  return new URL(keyId).hostname.split('.')[0] ?? ''
}

function modulusBits(modulus: Uint8Array): number {
  const firstNonZero = modulus.findIndex(byte => byte !== 0)
  if (firstNonZero < 0) return 0
  return (modulus.length - firstNonZero) * 8 - Math.clz32(modulus[firstNonZero] ?? 0) + 24
}

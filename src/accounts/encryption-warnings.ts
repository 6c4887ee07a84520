import { vaultNameOf } from '../encryption/key-identifier.ts'
import type { Account } from './account.ts'
import type { KeyStatus } from './key-statuses.ts'

interface Warning {
  readonly code: 'IdentityOff' | 'IdentityWithoutAccess' | 'VaultNotChecked' | 'KeyExpired' | 'KeyExpiresSoon'
  readonly message: string
}

const SOON_MS = 30 * 86_400_000

/** What readers of an account should know about its customer-managed key; shown beside the settings. */
export function encryptionWarnings(
  { encryption, identity, name, group }: Account,
  status: KeyStatus | undefined,
  { isOwnVault, now }: { readonly isOwnVault: (vaultUri: string) => boolean; readonly now: number },
): Warning[] {
  const vaultUri = encryption.keyVaultProperties?.keyVaultUri
  if (vaultUri === undefined) return []
  const warnings: Warning[] = []
  const isOutside = !isOwnVault(vaultUri)
  if (identity === undefined) {
    // R31
    const message = `The system-assigned identity is off: nothing under the customer-managed key can be read, trained on or deployed; running deployments go on. Turned on again it is another principal, which has no access to any vault. Run: az cognitiveservices account identity assign --name ${name} --resource-group ${group}`
    warnings.push({ code: 'IdentityOff', message })
  } else if (status?.state === 'KeyUnavailable' && status.cause === 'AccessDenied' && !isOutside) {
    const message = `The identity ${identity.principalId} has no access to the key. Run: az keyvault set-policy --name ${vaultNameOf(vaultUri)} --object-id ${identity.principalId} --key-permissions get wrapKey unwrapKey`
    warnings.push({ code: 'IdentityWithoutAccess', message })
  }
  if (isOutside) {
    const message = `${vaultUri} is not a vault of this cloud: its region, its tenant, its firewall's exception for trusted services and whether it uses access policies were not checked. The operator's credential asks it on the account's behalf.`
    warnings.push({ code: 'VaultNotChecked', message })
  }
  if (status?.expiresOn !== undefined) warnings.push(...expiryWarnings(status.keyIdentifier, status.expiresOn, now))
  return warnings
}

function expiryWarnings(keyIdentifier: string, expiresOn: string, now: number): Warning[] {
  const left = Date.parse(expiresOn) - now
  if (left > SOON_MS) return []
  const [code, when] = left > 0 ? (['KeyExpiresSoon', 'expires'] as const) : (['KeyExpired', 'expired'] as const)
  const message = `The key version ${keyIdentifier} ${when} at ${expiresOn}. Data stays readable after that, but the key can wrap nothing new: no re-encryption, and no change back to it. Rotate the key and change to the new version, or move the date: az keyvault key set-attributes --id ${keyIdentifier} --expires DATE`
  return [{ code, message }]
}

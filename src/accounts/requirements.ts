import type { KeyVaultKey } from '@azure/keyvault-keys'
import { isWithin } from '../arm/resource-id.ts'
import { parseKeyIdentifier, vaultNameOf } from '../encryption/key-identifier.ts'
import { KeyUnavailable, type KeyUnavailableCause } from '../encryption/key-unavailable.ts'
import { isVaultsWord } from '../encryption/vault-error.ts'
import type { VaultKey } from '../encryption/vault-key.ts'
import type { RequirementName } from '../http/error-codes.ts'
import type { Account } from './account.ts'
import type { UnmetRequirement } from './unmet-requirement.ts'
import type { VaultDescription } from './vault-directory.ts'

const YEAR_MS = 365 * 86_400_000

/** Checks the vault's settings against the article, R07 to R10. About another tenant's vault it says only that. */
export function checkVault(account: Account, tenantId: string, vault: VaultDescription): UnmetRequirement[] {
  const unmet: UnmetRequirement[] = []
  // A subscription that was moved has vaults of its former tenant, which are still its own.
  const isOwn = isWithin(vault.id, `/subscriptions/${account.subscriptionId}`)
  if (vault.tenantId !== tenantId && !isOwn) {
    // R27: strangers don't learn its region or settings.
    const found = otherTenant(vault.tenantId, tenantId)
    return [{ requirement: 'R07', name: 'TenantMismatch', found, command: createVault(account), target: vault.name }]
  }
  const add = (requirement: `R${number}`, name: RequirementName, found: string, command: string): void =>
    void unmet.push({ requirement, name, found, command, target: vault.id })
  const update = `az keyvault update --name ${vault.name}`
  const another = createVault(account)
  if (vault.location !== account.location)
    add(
      'R07',
      'RegionMismatch',
      `The vault is in ${vault.location}, the resource in ${account.location}: they must be in the same region, and a vault can't move. Use a vault in ${account.location}.`,
      another,
    )
  if (vault.tenantId !== tenantId) add('R07', 'TenantMismatch', otherTenant(vault.tenantId, tenantId), another)
  if (!vault.softDelete) add('R08', 'SoftDeleteOff', 'Soft delete is off.', `${update} --enable-soft-delete true`)
  if (!vault.purgeProtection)
    add(
      'R08',
      'PurgeProtectionOff',
      "Purge protection (Do Not Purge) is off. Once on, it can't be turned off again.",
      `${update} --enable-purge-protection true`,
    )
  if (vault.firewall && !vault.trustedServices)
    add(
      'R09',
      'TrustedServicesBlocked',
      "The vault's firewall does not let trusted Microsoft services through.",
      `${update} --bypass AzureServices`,
    )
  if (vault.rbacAuthorization)
    add(
      'R10',
      'RbacAuthorization',
      'The vault is in RBAC mode; it must use access policies.',
      `${update} --enable-rbac-authorization false`,
    )
  return unmet
}

function otherTenant(ofVault: string, ofResource: string): string {
  return `The vault belongs to tenant ${ofVault}, the resource to ${ofResource}: they must be in the same Microsoft Entra tenant. Use a vault of the resource's tenant.`
}

/** Checks the key's type, size and state against the article, R12. */
export function checkKey(key: KeyVaultKey, now: number): UnmetRequirement[] {
  const unmet: UnmetRequirement[] = []
  const target = key.id ?? key.name
  const add = (name: RequirementName, found: string, command: string): void =>
    void unmet.push({ requirement: 'R12', name, found, command, target })
  const bits = key.key?.n === undefined ? undefined : modulusBits(key.key.n)
  const only = 'only RSA and RSA-HSM keys of size 2048 are supported. Use another key.'
  const another = `az keyvault key create --vault-name ${vaultNameOf(target)} --name ${key.name}-2048 --kty RSA --size 2048`
  if (key.keyType !== 'RSA' && key.keyType !== 'RSA-HSM')
    add('KeyType', `The key is of type ${key.keyType}: ${only}`, another)
  else if (bits !== 2048) add('KeySize', `The key has ${bits} bits: ${only}`, another)
  const { enabled, notBefore, expiresOn } = key.properties
  const set = `az keyvault key set-attributes --id ${target}`
  if (enabled === false) add('KeyDisabled', 'The key version is disabled.', `${set} --enabled true`)
  if (expiresOn !== undefined && expiresOn.getTime() <= now)
    add('KeyExpired', `The key version expired at ${iso(expiresOn)}.`, `${set} --expires ${iso(now + YEAR_MS)}`)
  if (notBefore !== undefined && notBefore.getTime() > now)
    add('KeyNotYetValid', `The key version is valid from ${iso(notBefore)} only.`, `${set} --not-before ${iso(now)}`)
  const operations = key.keyOperations ?? ['wrapKey', 'unwrapKey']
  const missing = ['wrapKey', 'unwrapKey'].filter(operation => !operations.includes(operation))
  const all = [...operations, ...missing].join(' ')
  if (missing.length > 0)
    add('KeyOperations', `The key's operations lack ${missing.join(' and ')}.`, `${set} --ops ${all}`)
  return unmet
}

/** R08 for a vault of which only the key is visible: the key's recovery level shows soft delete and purge protection. */
export function checkRecovery(key: KeyVaultKey): UnmetRequirement[] {
  const level = key.properties.recoveryLevel ?? ''
  const target = key.id ?? key.name
  const unmet: UnmetRequirement[] = []
  const add = (name: RequirementName, what: string, command: string): void => {
    const found = `${what}: the key's recovery level is ${level === '' ? 'not told' : `'${level}'`}.`
    unmet.push({ requirement: 'R08', name, found, command, target })
  }
  const update = `az keyvault update --name ${vaultNameOf(target)}`
  if (!level.includes('Recoverable')) add('SoftDeleteOff', 'Soft delete is off', `${update} --enable-soft-delete true`)
  if (level === '' || level.includes('Purgeable'))
    add('PurgeProtectionOff', 'Purge protection (Do Not Purge) is off', `${update} --enable-purge-protection true`)
  return unmet
}

/** The identity that asks a vault for a key. */
interface Asker {
  readonly principalId: string
  /** Absent: the resource's identity. */
  readonly name?: string
}

/** Asks outside vaults on an account's behalf. Only the operator knows its identity there. */
export const OPERATOR: Asker = { principalId: '<object id>', name: "The operator's credential" }

const SEEN_IN_KEY = new Set<KeyUnavailableCause>(['KeyDisabled', 'KeyExpired', 'KeyOperationForbidden'])

/** R11: tries get, wrapKey and unwrapKey one by one with the account's identity, and names each that fails. */
export async function checkAccess(
  key: VaultKey,
  asker: Asker,
): Promise<{ unmet: UnmetRequirement[]; read?: KeyVaultKey }> {
  const failed: { permission: string; error: KeyUnavailable }[] = []
  const attempt = async <T>(permission: string, operation: () => Promise<T>): Promise<T | undefined> => {
    // A silent vault is named once, and each further question would wait as long again.
    if (failed.some(({ error }) => error.isSilence)) return undefined
    try {
      return await operation()
    } catch (error) {
      if (!(error instanceof KeyUnavailable)) throw error
      // A vault that answers garbage with "bad parameter" has checked the permission before.
      if (error.reason === 'Refused' && permission === 'unwrapKey') return undefined
      failed.push({ permission, error: error.reason === 'Forbidden' ? await key.explain(error) : error })
      return undefined
    }
  }
  const read = await attempt('get', () => key.read())
  const probe = Buffer.alloc(32)
  const wrapped = await attempt('wrapKey', () => key.wrap(probe))
  await attempt('unwrapKey', async () => {
    const opened = await key.unwrap(wrapped ?? Buffer.alloc(256, 1))
    if (wrapped !== undefined && !probe.equals(opened)) throw new KeyUnavailable('KeyReplaced', key.id)
  })
  // A missing permission is named for each operation; a problem of the key or the vault once, unless `checkKey` names it already.
  const told = failed.filter(({ error: { reason } }, index) => {
    if (reason === 'AccessDenied' || reason === 'Forbidden') return true
    if (read !== undefined && SEEN_IN_KEY.has(reason)) return false
    return failed.findIndex(({ error }) => error.reason === reason) === index
  })
  const unmet = told.map(({ permission, error }) => accessFinding(permission, key.id, asker, error))
  return { unmet, ...(read === undefined ? {} : { read }) }
}

/** R06: there is no such vault, or this cloud can't see it. */
export function vaultNotFound(account: Account, vaultUri: string): UnmetRequirement {
  const name = vaultNameOf(vaultUri)
  return {
    requirement: 'R06',
    name: 'VaultNotFound',
    found: `There is no key vault at ${vaultUri}. Check keyVaultUri; a vault that was deleted can be recovered. A vault outside this cloud is only used when its operator allows it (--outside-vaults).`,
    command: `az keyvault recover --name ${name} --location ${account.location}`,
    target: vaultUri,
  }
}

/** R11: without an identity there is nobody to whom the vault could have granted access. */
export function identityOff(account: Account): UnmetRequirement {
  return {
    requirement: 'R11',
    name: 'IdentityOff',
    found: 'The resource has no system-assigned identity.',
    command: `az cognitiveservices account identity assign --name ${account.name} --resource-group ${account.group}`,
    target: account.id,
  }
}

/** The requirement to which a vault's refusal belongs. */
const REQUIREMENT: Readonly<Record<KeyUnavailableCause, `R${number}`>> = {
  AccessDenied: 'R11',
  Forbidden: 'R11',
  TokenRefused: 'R11',
  ChallengeMismatch: 'R06',
  IdentityMissing: 'R11',
  IdentityLeftBehind: 'R32',
  RbacAuthorization: 'R10',
  FirewallDenied: 'R09',
  TenantMismatch: 'R07',
  KeyDisabled: 'R12',
  KeyExpired: 'R12',
  KeyOperationForbidden: 'R12',
  KeyReplaced: 'R12',
  KeyNotFound: 'R06',
  KeyPurged: 'R06',
  VaultNotFound: 'R06',
  VaultNotAllowed: 'R06',
  CredentialUnavailable: 'R11',
  Unreachable: 'R06',
  Throttled: 'R06',
  VaultFailed: 'R06',
  LeaseEnded: 'R06',
  Refused: 'R06',
}

/** Codes of other checks for the same problem. */
const NAME: Partial<Record<KeyUnavailableCause, RequirementName>> = {
  AccessDenied: 'PermissionMissing',
  IdentityMissing: 'IdentityOff',
  FirewallDenied: 'TrustedServicesBlocked',
  KeyOperationForbidden: 'KeyOperations',
}

function accessFinding(
  permission: string,
  keyId: string,
  { principalId, name = "The resource's identity" }: Asker,
  error: KeyUnavailable,
): UnmetRequirement {
  const { reason } = error
  const inner = error.options.innererror?.innererror
  const said = isVaultsWord(inner) && !OF_OURS.has(reason)
  const why = said ? `The vault says: ${inner?.message}` : (inner?.message ?? error.message)
  return {
    requirement: REQUIREMENT[reason],
    name: NAME[reason] ?? reason,
    found: `${name} can't do '${permission}' with the key. ${why}`,
    command: fixFor(error, keyId, principalId),
    target: keyId,
  }
}

/** Reasons that are found here, before a vault is asked. */
const OF_OURS = new Set<KeyUnavailableCause>([
  'IdentityMissing',
  'IdentityLeftBehind',
  'CredentialUnavailable',
  'ChallengeMismatch',
])

function fixFor({ reason, isOutside }: KeyUnavailable, keyId: string, principalId: string): string {
  const { name, version } = parseKeyIdentifier(keyId)
  const vault = vaultNameOf(keyId)
  const set = `az keyvault key set-attributes ${version === undefined ? `--vault-name ${vault} --name ${name}` : `--id ${keyId}`}`
  if (reason === 'KeyDisabled') return `${set} --enabled true`
  if (reason === 'KeyOperationForbidden') return `${set} --ops wrapKey unwrapKey`
  if (reason === 'KeyNotFound') return `az keyvault key recover --vault-name ${vault} --name ${name}`
  if (reason === 'VaultNotFound') return `az keyvault recover --name ${vault}`
  if (reason === 'FirewallDenied') return `az keyvault update --name ${vault} --bypass AzureServices`
  if (isOutside && reason === 'RbacAuthorization')
    return `az role assignment create --role 'Key Vault Crypto Service Encryption User' --assignee ${principalId} --scope <vault id>`
  if (reason !== 'AccessDenied' && reason !== 'Forbidden' && reason !== 'IdentityMissing')
    return `az keyvault show --name ${vault}`
  return `az keyvault set-policy --name ${vault} --object-id ${principalId} --key-permissions get wrapKey unwrapKey`
}

/** A command that makes a vault that meets every requirement. */
function createVault({ group, location }: Account): string {
  return `az keyvault create --name <name> --resource-group ${group} --location ${location} --enable-purge-protection true --enable-rbac-authorization false`
}

const iso = (time: Date | number): string => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')

function modulusBits(modulus: Uint8Array): number {
  const firstNonZero = modulus.findIndex(byte => byte !== 0)
  if (firstNonZero < 0) return 0
  return (modulus.length - firstNonZero) * 8 - Math.clz32(modulus[firstNonZero] ?? 0) + 24
}

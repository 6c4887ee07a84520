import { arm, VERSIONS, type Account, type Vault } from '../../api/arm.ts'
import { config } from '../../api/config.ts'
import type { ChosenKey } from './key-choice.tsx'

/** R30: one Save turns the identity on, gives it access to the vault, and puts the data under the key. @throws ApiError */
export async function enableKey(
  account: Account,
  key: ChosenKey,
  vault: Vault | undefined,
  onStep: (step: string) => void,
  reEncryptOnEnable = false,
): Promise<void> {
  let principalId = account.identity?.principalId
  if (principalId === undefined) {
    onStep('Turning the system-assigned identity on…')
    const body = { identity: { type: 'SystemAssigned' } }
    principalId = (await arm<Account>(account.id, VERSIONS.accounts, { method: 'PATCH', body })).identity?.principalId
  }
  if (vault !== undefined && principalId !== undefined && vault.properties.enableRbacAuthorization !== true) {
    onStep(`Giving the identity access to ${vault.name}…`)
    const permissions = { keys: ['get', 'wrapKey', 'unwrapKey'] }
    const { tenantId } = config()
    const body = { properties: { accessPolicies: [{ tenantId, objectId: principalId, permissions }] } }
    await arm(`${vault.id}/accessPolicies/add`, VERSIONS.vaults, { method: 'PUT', body })
  }
  onStep('Re-wrapping the data keys…')
  await changeKey(account, key, reEncryptOnEnable)
}

/** R16, R17: another version, or another key that the identity may use already. @throws ApiError */
export async function changeKey(account: Account, key: ChosenKey, reEncryptOnEnable = false): Promise<void> {
  const encryption = {
    keySource: 'Microsoft.KeyVault',
    keyVaultProperties: key,
    ...(reEncryptOnEnable ? { reEncryptOnEnable } : {}),
  }
  await arm(account.id, VERSIONS.accounts, { method: 'PATCH', body: { properties: { encryption } } })
}

export async function disableKey(account: Account): Promise<void> {
  const encryption = { keySource: 'Microsoft.CognitiveServices' }
  await arm(account.id, VERSIONS.accounts, { method: 'PATCH', body: { properties: { encryption } } })
}

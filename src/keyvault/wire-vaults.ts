import { VAULT_TYPE, vaultResourceId, type Vault } from './vault-record.ts'

/** A vault as Resource Manager shows it. `vaultUri`: https, with a trailing slash. */
export function vaultBody(vault: Vault, vaultUri: string): object {
  const { enablePurgeProtection, networkAcls, ...properties } = vault.properties
  return {
    id: vaultResourceId(vault),
    name: vault.name,
    type: VAULT_TYPE,
    location: vault.location,
    tags: vault.tags,
    systemData: {
      createdBy: vault.createdBy,
      createdByType: 'Application',
      createdAt: new Date(vault.createdAt).toISOString(),
      lastModifiedBy: vault.changedBy,
      lastModifiedByType: 'Application',
      lastModifiedAt: new Date(vault.changedAt).toISOString(),
    },
    properties: {
      ...properties,
      ...(networkAcls === undefined ? {} : { networkAcls }),
      // az sends back the whole body that it got, and false is refused, so it is there only when on.
      ...(enablePurgeProtection ? { enablePurgeProtection } : {}),
      vaultUri,
      provisioningState: 'Succeeded',
    },
  }
}

export function deletedVaultId(vault: Vault): string {
  const { subscriptionId, location, name } = vault
  return `/subscriptions/${subscriptionId}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${name}`
}

/** Only for vaults that are deleted. */
export function deletedVaultBody(vault: Vault): object {
  return {
    id: deletedVaultId(vault),
    name: vault.name,
    type: 'Microsoft.KeyVault/deletedVaults',
    properties: {
      vaultId: vaultResourceId(vault),
      location: vault.location,
      tags: vault.tags,
      ...(vault.deleted === undefined
        ? {}
        : {
            deletionDate: new Date(vault.deleted.at).toISOString(),
            scheduledPurgeDate: new Date(vault.deleted.purgeAt).toISOString(),
          }),
      ...(vault.properties.enablePurgeProtection ? { purgeProtectionEnabled: true } : {}),
    },
  }
}

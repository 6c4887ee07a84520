import { idParts, type Vault } from '../../api/arm.ts'
import { Copyable, Facts } from '../../parts/facts.tsx'

export function VaultProperties({ vault }: { vault: Vault }) {
  const { properties } = vault
  const { subscriptionId, group } = idParts(vault.id)
  const days = properties.softDeleteRetentionInDays ?? 90
  return (
    <Facts
      facts={{
        Name: vault.name,
        'Sku (Pricing tier)': properties.sku.name === 'premium' ? 'Premium' : 'Standard',
        Location: vault.location,
        'Vault URI': <Copyable value={properties.vaultUri} label="the vault URI" />,
        'Resource ID': <Copyable value={vault.id} label="the resource id" />,
        'Subscription ID': <Copyable value={subscriptionId} label="the subscription id" />,
        'Resource group': group,
        'Directory ID': <Copyable value={properties.tenantId} label="the directory id" />,
        'Soft-delete':
          properties.enableSoftDelete === false
            ? 'Disabled'
            : `Enabled: what is deleted can be recovered for ${days} days. It can't be turned off.`,
        'Purge protection':
          properties.enablePurgeProtection === true
            ? 'Enabled: what is deleted is kept for the whole time. It can’t be turned off.'
            : 'Disabled: what is deleted can be purged at once',
      }}
    />
  )
}

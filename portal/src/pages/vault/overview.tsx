import { Button } from '@fluentui/react-components'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import { arm, idParts, VERSIONS, type Vault } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copyable, Facts } from '../../parts/facts.tsx'

export function VaultOverview({ vault }: { vault: Vault }) {
  const [deleting, setDeleting] = useState(false)
  const refresh = useRefresh()
  const [, navigate] = useLocation()
  const { subscriptionId, group } = idParts(vault.id)
  const { properties } = vault
  const [protecting, setProtecting] = useState(false)
  const isProtected = properties.enablePurgeProtection === true
  return (
    <>
      <div className="commands">
        <Button onClick={() => setDeleting(true)}>Delete</Button>
        <Button disabled={isProtected} onClick={() => setProtecting(true)}>
          Enable purge protection
        </Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      <Facts
        facts={{
          'Resource group': group,
          'Vault URI': <Copyable value={properties.vaultUri} label="the vault URI" />,
          Location: vault.location,
          'Sku (Pricing tier)': properties.sku.name === 'premium' ? 'Premium' : 'Standard',
          Subscription: (
            <Link className="link mono" href={`/subscriptions/${subscriptionId}`}>
              {subscriptionId}
            </Link>
          ),
          'Directory ID': <span className="mono">{properties.tenantId}</span>,
          'Soft-delete': properties.enableSoftDelete === false ? 'Disabled' : 'Enabled',
          'Purge protection': isProtected ? 'Enabled' : 'Disabled: keys of this vault can not protect a resource',
          'Retention (days)': properties.softDeleteRetentionInDays ?? 90,
          'Permission model':
            properties.enableRbacAuthorization === true ? 'Role-based access control' : 'Vault access policy',
        }}
      />
      {protecting && (
        <Confirm
          title={`Enable purge protection of ${vault.name}?`}
          action="Enable"
          onConfirm={async () => {
            const body = { properties: { enablePurgeProtection: true } }
            await arm(vault.id, VERSIONS.vaults, { method: 'PATCH', body })
            await refresh()
          }}
          onClose={() => setProtecting(false)}
        >
          <p>
            What is deleted is then kept for the whole retention time, and nobody can purge it before. It can&rsquo;t be
            turned off again.
          </p>
        </Confirm>
      )}
      {deleting && (
        <Confirm
          title={`Delete ${vault.name}?`}
          action="Delete"
          onConfirm={async () => {
            await arm(vault.id, VERSIONS.vaults, { method: 'DELETE' })
            await refresh('vaults')
            navigate('/')
          }}
          onClose={() => setDeleting(false)}
        >
          <p>
            Resources under its keys can no longer open their data. It can be recovered for{' '}
            {properties.softDeleteRetentionInDays ?? 90} days, under Home, Deleted resources.
          </p>
        </Confirm>
      )}
    </>
  )
}

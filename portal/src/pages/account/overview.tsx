import { Button } from '@fluentui/react-components'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import { arm, idParts, VERSIONS, type Account } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copyable, Facts, time } from '../../parts/facts.tsx'
import { EncryptionBadge } from '../../parts/encryption-badge.tsx'

export function Overview({ account }: { account: Account }) {
  const [deleting, setDeleting] = useState(false)
  const [, navigate] = useLocation()
  const refresh = useRefresh()
  const { subscriptionId, group } = idParts(account.id)
  const remove = async (): Promise<void> => {
    await arm(account.id, VERSIONS.accounts, { method: 'DELETE' })
    await refresh('accounts')
    navigate('/')
  }
  return (
    <>
      <div className="commands">
        <Button onClick={() => setDeleting(true)}>Delete</Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      <Facts
        facts={{
          'Resource group': group,
          Status: account.properties.provisioningState,
          Location: account.location,
          Subscription: (
            <Link className="link mono" href={`/subscriptions/${subscriptionId}`}>
              {subscriptionId}
            </Link>
          ),
          Endpoint: <Copyable value={account.properties.endpoint} label="the endpoint" />,
          'Pricing tier': account.sku.name,
          Encryption: (
            <Link href={`/resource${account.id}/encryption`}>
              <EncryptionBadge account={account} />
            </Link>
          ),
          Identity: account.identity?.principalId === undefined ? 'Off' : 'System-assigned',
          Created: time(account.properties.dateCreated),
        }}
      />
      {deleting && (
        <Confirm
          title={`Delete ${account.name}?`}
          action="Delete"
          onConfirm={remove}
          onClose={() => setDeleting(false)}
        >
          <p>
            Its deployments stop answering and its data can no longer be read. It can be recovered for 48 hours, under
            Home, Deleted resources.
          </p>
        </Confirm>
      )}
    </>
  )
}

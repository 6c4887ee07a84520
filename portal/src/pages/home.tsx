import { Button } from '@fluentui/react-components'
import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import { useAccounts, useVaults } from '../api/hooks.ts'
import { EncryptionBadge } from '../parts/encryption-badge.tsx'
import { Rows } from '../parts/rows.tsx'
import { Loaded } from '../parts/states.tsx'
import { Attention } from './attention.tsx'
import { CreateAccount, CreateVault } from './create.tsx'

/** The user's resources, and what needs attention. */
export function Home() {
  const [accounts, vaults] = [useAccounts(), useVaults()]
  const [creating, setCreating] = useState<'account' | 'vault'>()
  useEffect(() => {
    document.title = 'Home - OwnKey'
  }, [])
  return (
    <main className="home" id="content" tabIndex={-1}>
      <h1 className="section">Needs attention</h1>
      {accounts.data === undefined || vaults.data === undefined ? (
        <p className="muted">{accounts.error || vaults.error ? 'It can’t be told now.' : 'Loading…'}</p>
      ) : (
        <Attention accounts={accounts.data} vaults={vaults.data} />
      )}
      <div className="row heading">
        <h2 className="section grow">Azure OpenAI resources</h2>
        <Button onClick={() => setCreating('account')}>Create resource</Button>
      </div>
      <Loaded query={accounts} what="resources">
        {found => (
          <Rows
            label="Azure OpenAI resources"
            rows={found}
            keyOf={account => account.id}
            empty="There is no resource yet. Create one to upload training data."
            columns={[
              {
                name: 'Name',
                cell: account => (
                  <Link className="link" href={`/resource${account.id}`}>
                    {account.name}
                  </Link>
                ),
              },
              { name: 'Encryption', cell: account => <EncryptionBadge account={account} /> },
              { name: 'Resource group', cell: account => account.id.split('/')[4] },
              { name: 'Location', cell: account => account.location },
            ]}
          />
        )}
      </Loaded>
      <div className="row heading">
        <h2 className="section grow">Key vaults</h2>
        <Button onClick={() => setCreating('vault')}>Create key vault</Button>
      </div>
      <Loaded query={vaults} what="key vaults">
        {found => (
          <Rows
            label="Key vaults"
            rows={found}
            keyOf={vault => vault.id}
            empty="There is no key vault yet. A customer-managed key lives in one."
            columns={[
              {
                name: 'Name',
                cell: vault => (
                  <Link className="link" href={`/resource${vault.id}`}>
                    {vault.name}
                  </Link>
                ),
              },
              {
                name: 'Purge protection',
                cell: vault => (vault.properties.enablePurgeProtection === true ? 'On' : 'Off'),
              },
              {
                name: 'Access',
                cell: vault => (vault.properties.enableRbacAuthorization === true ? 'Roles' : 'Access policies'),
              },
              { name: 'Location', cell: vault => vault.location },
            ]}
          />
        )}
      </Loaded>
      <p>
        <Link className="link" href="/deleted">
          Deleted resources
        </Link>
      </p>
      {creating === 'account' && <CreateAccount onClose={() => setCreating(undefined)} />}
      {creating === 'vault' && <CreateVault onClose={() => setCreating(undefined)} />}
    </main>
  )
}

import { Badge, Button } from '@fluentui/react-components'
import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import type { Account, Vault } from '../api/arm.ts'
import { useAccounts, useVaults } from '../api/hooks.ts'
import { Rows } from '../parts/rows.tsx'
import { Loaded } from '../parts/states.tsx'
import { CreateAccount, CreateVault } from './create.tsx'

/** What there is, and what needs somebody's attention. */
export function Home() {
  const [accounts, vaults] = [useAccounts(), useVaults()]
  const [creating, setCreating] = useState<'account' | 'vault'>()
  useEffect(() => {
    document.title = 'Home - OwnKey'
  }, [])
  return (
    <main className="home" id="content" tabIndex={-1}>
      <h1 className="section">Needs attention</h1>
      <Attention accounts={accounts.data ?? []} vaults={vaults.data ?? []} />
      <div className="row">
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
      <div className="row">
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
      {creating === 'account' && <CreateAccount onClose={() => setCreating(undefined)} />}
      {creating === 'vault' && <CreateVault onClose={() => setCreating(undefined)} />}
    </main>
  )
}

export function EncryptionBadge({ account }: { account: Account }) {
  const { encryption } = account.properties
  if (encryption?.keySource !== 'Microsoft.KeyVault') return <Badge appearance="outline">Microsoft-managed keys</Badge>
  const state = encryption.status?.state ?? 'Active'
  return state === 'Active' ? (
    <Badge color="success">Customer-managed key {encryption.keyVaultProperties?.keyName}</Badge>
  ) : (
    <Badge color="danger">Key unavailable</Badge>
  )
}

interface Problem {
  readonly text: string
  readonly href: string
  readonly step: string
}

/** Each thing that is wrong, with the page on which it is mended. */
function problemsOf(accounts: readonly Account[], vaults: readonly Vault[]): Problem[] {
  const problems: Problem[] = []
  for (const { id, name, identity, properties } of accounts) {
    const { encryption } = properties
    if (encryption?.keySource !== 'Microsoft.KeyVault') continue
    if (encryption.status?.state === 'KeyUnavailable')
      problems.push({
        text: `${name}: the customer-managed key is unavailable (${encryption.status.cause ?? 'unknown cause'}).`,
        href: `/resource${id}/encryption`,
        step: 'Look at the encryption',
      })
    if (identity?.principalId === undefined)
      problems.push({
        text: `${name} has no identity, so no vault lets it use its key.`,
        href: `/resource${id}/identity`,
        step: 'Turn it on',
      })
    const vault = vaults.find(({ properties: { vaultUri } }) => vaultUri === encryption.keyVaultProperties?.keyVaultUri)
    const policy = vault?.properties.accessPolicies?.find(({ objectId }) => objectId === identity?.principalId)
    if (vault !== undefined && identity?.principalId !== undefined && policy === undefined)
      problems.push({
        text: `${vault.name} has no access policy for ${name}.`,
        href: `/resource${vault.id}/policies`,
        step: 'Create the policy',
      })
  }
  return problems
}

function Attention({ accounts, vaults }: { accounts: readonly Account[]; vaults: readonly Vault[] }) {
  const problems = problemsOf(accounts, vaults)
  if (problems.length === 0) return <p className="muted">Nothing needs your attention.</p>
  return (
    <ul className="checks">
      {problems.map(({ text, href, step }) => (
        <li key={text}>
          <span className="bad" aria-hidden>
            ●
          </span>
          <span />
          <span>
            {text}{' '}
            <Link className="link" href={href}>
              {step}
            </Link>
          </span>
        </li>
      ))}
    </ul>
  )
}

import { Spinner } from '@fluentui/react-components'
import { useQueries } from '@tanstack/react-query'
import { Link } from 'wouter'
import type { Account, Vault } from '../api/arm.ts'
import { problemsOf, vaultOf } from '../api/attention.ts'
import { useNow } from '../api/hooks.ts'
import { vaultList, type KeyItem } from '../api/vault.ts'

/** What needs attention, with the step that fixes it. Keys whose versions the user may not list are judged by their status alone. */
export function Attention({ accounts, vaults }: { accounts: readonly Account[]; vaults: readonly Vault[] }) {
  const now = useNow()
  const own = accounts
    .filter(({ properties }) => properties.encryption?.keySource === 'Microsoft.KeyVault')
    .map(account => ({ account, vault: vaultOf(account, vaults) }))
  const versions = useQueries({
    queries: own.map(({ account, vault }) => {
      const [uri, name] = [vault?.properties.vaultUri, account.properties.encryption?.keyVaultProperties?.keyName]
      return {
        queryKey: ['versions', uri, name],
        queryFn: () => vaultList<KeyItem>(uri ?? '', `/keys/${name}/versions`),
        enabled: uri !== undefined,
        retry: false,
      }
    }),
  })
  if (versions.some(({ isLoading }) => isLoading))
    return <Spinner className="start-left" size="tiny" label="Looking at the keys…" />
  const problems = problemsOf(
    own.map((one, index) => ({ ...one, versions: versions[index]?.data })),
    now,
  )
  if (problems.length === 0)
    return <p className="muted">Nothing: every customer-managed key can be used, and none is about to expire.</p>
  return (
    <ul className="attention" aria-label="Needs attention">
      {problems.map(({ level, text, href, step }) => (
        <li key={text} className={level}>
          <span>
            <strong className={level}>{level === 'bad' ? 'Now' : 'Soon'}</strong> {text}
          </span>
          <Link className="link" href={href}>
            {step}
          </Link>
        </li>
      ))}
    </ul>
  )
}

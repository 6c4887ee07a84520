import { useParams } from 'wouter'
import { useVault } from '../../api/hooks.ts'
import type { Vault } from '../../api/arm.ts'
import { Failure, Loaded } from '../../parts/states.tsx'
import { Blade, type MenuEntry } from '../../shell/blade.tsx'
import { Activity } from '../activity.tsx'
import { AccessPolicies } from './access-policies.tsx'
import { KeyPage } from './key-page.tsx'
import { KeysPage } from './keys.tsx'
import { Networking } from './networking.tsx'
import { VaultOverview } from './overview.tsx'
import { VaultProperties } from './properties.tsx'

const MENU: readonly MenuEntry[] = [
  { page: '', label: 'Overview' },
  { page: 'audit', label: 'Audit' },
  { page: 'policies', label: 'Access policies' },
  { page: 'keys', label: 'Keys', heading: 'Objects' },
  { page: 'networking', label: 'Networking', heading: 'Settings' },
  { page: 'properties', label: 'Properties' },
]

export function VaultBlade() {
  const { subscription = '', group = '', name = '', page = '', key } = useParams()
  const id = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/${name}`
  const query = useVault(id)
  return (
    <Blade name={name} kind="Key vault" base={`/resource${id}`} page={page} menu={MENU}>
      <Loaded query={query} what={name}>
        {vault => <Page page={page} keyName={key} vault={vault} />}
      </Loaded>
    </Blade>
  )
}

function Page({ page, keyName, vault }: { page: string; keyName: string | undefined; vault: Vault }) {
  switch (page) {
    case '':
      return <VaultOverview vault={vault} />
    case 'audit':
      return <Activity resourceId={vault.id} vault={vault.name} />
    case 'policies':
      return <AccessPolicies vault={vault} />
    case 'keys':
      return keyName === undefined ? <KeysPage vault={vault} /> : <KeyPage vault={vault} name={keyName} />
    case 'properties':
      return <VaultProperties vault={vault} />
    case 'networking':
      return <Networking vault={vault} />
    default:
      return <Failure error={new Error(`There is no page '${page}' here. Choose one from the menu.`)} />
  }
}

import { useParams } from 'wouter'
import type { Account } from '../../api/arm.ts'
import { useAccount } from '../../api/hooks.ts'
import { Failure, Loaded } from '../../parts/states.tsx'
import { Blade, type MenuEntry } from '../../shell/blade.tsx'
import { Activity } from '../activity.tsx'
import { Deployments } from './deployments.tsx'
import { EncryptionPage } from './encryption.tsx'
import { Files } from './files.tsx'
import { FineTuning } from './fine-tuning.tsx'
import { Identity } from './identity.tsx'
import { KeysAndEndpoint } from './keys.tsx'
import { Overview } from './overview.tsx'
import { Protected } from './protected.tsx'

const MENU: readonly MenuEntry[] = [
  { page: '', label: 'Overview' },
  { page: 'activity', label: 'Activity log' },
  { page: 'keys', label: 'Keys and Endpoint', heading: 'Resource Management' },
  { page: 'encryption', label: 'Encryption' },
  { page: 'protected', label: 'What is protected' },
  { page: 'identity', label: 'Identity' },
  { page: 'deployments', label: 'Deployments', heading: 'Models' },
  { page: 'fine-tuning', label: 'Fine-tuning' },
  { page: 'files', label: 'Files' },
]

export function AccountBlade() {
  const { subscription = '', group = '', name = '', page = '', item } = useParams()
  const id = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.CognitiveServices/accounts/${name}`
  const query = useAccount(id)
  return (
    <Blade name={name} kind="Azure OpenAI" base={`/resource${id}`} page={page} menu={MENU}>
      <Loaded query={query} what={name}>
        {account => <Page page={page} item={item} account={account} />}
      </Loaded>
    </Blade>
  )
}

function Page({ page, item, account }: { page: string; item: string | undefined; account: Account }) {
  switch (page) {
    case '':
      return <Overview account={account} />
    case 'activity':
      return <Activity resourceId={account.id} />
    case 'keys':
      return <KeysAndEndpoint account={account} />
    case 'encryption':
      return <EncryptionPage account={account} />
    case 'protected':
      return <Protected account={account} />
    case 'identity':
      return <Identity account={account} />
    case 'deployments':
      return <Deployments account={account} />
    case 'fine-tuning':
      return <FineTuning account={account} jobId={item} />
    case 'files':
      return <Files account={account} />
    default:
      return <Failure error={new Error(`There is no page '${page}' here. Choose one from the menu.`)} />
  }
}

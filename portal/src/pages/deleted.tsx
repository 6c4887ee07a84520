import { Button } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'wouter'
import { arm, armList, listSubscriptions, VERSIONS, type Resource } from '../api/arm.ts'
import { config } from '../api/config.ts'
import { useRefresh } from '../api/hooks.ts'
import { useAction } from '../parts/action.ts'
import { time } from '../parts/facts.tsx'
import { Rows } from '../parts/rows.tsx'
import { Failure, Loaded } from '../parts/states.tsx'

interface DeletedVault {
  readonly name: string
  readonly properties: {
    readonly vaultId: string
    readonly location: string
    readonly deletionDate: string
    readonly scheduledPurgeDate: string
  }
}

interface DeletedAccount extends Resource {
  readonly properties: { readonly deletionDate: string; readonly scheduledPurgeDate: string }
}

/** Both kinds in one shape, with the action that recovers it. */
interface Gone {
  readonly id: string
  readonly name: string
  readonly location: string
  readonly deleted: string
  readonly purge: string
  readonly recover: () => Promise<unknown>
}

/** What was deleted and can still be recovered: vaults with their keys, resources with their data. */
export function Deleted() {
  useEffect(() => {
    document.title = 'Deleted resources - OwnKey'
  }, [])
  return (
    <main className="home" id="content" tabIndex={-1}>
      <nav className="crumbs flat" aria-label="Breadcrumb">
        <Link href="/">Home</Link>
      </nav>
      <h1>Deleted resources</h1>
      <Table title="Key vaults" empty="No key vault is deleted." list={deletedVaults} />
      <Table title="Azure OpenAI resources" empty="No resource is deleted." list={deletedAccounts} />
    </main>
  )
}

function Table({ title, empty, list }: { title: string; empty: string; list: () => Promise<Gone[]> }) {
  const gone = useQuery({ queryKey: ['deleted', title], queryFn: list })
  const recovering = useAction()
  const refresh = useRefresh()
  const recover = ({ recover: bringBack }: Gone): Promise<boolean> =>
    recovering.run(async () => {
      await bringBack()
      await refresh()
    })
  return (
    <>
      <h2 className="section">{title}</h2>
      {recovering.error !== undefined && <Failure error={recovering.error} />}
      <Loaded query={gone} what="what was deleted">
        {found => (
          <Rows
            label={`Deleted: ${title}`}
            rows={found}
            keyOf={({ id }) => id}
            empty={empty}
            columns={[
              { name: 'Name', cell: ({ name }) => name },
              { name: 'Location', cell: ({ location }) => location },
              { name: 'Deleted', cell: ({ deleted }) => time(deleted) },
              { name: 'Scheduled purge', cell: ({ purge }) => time(purge) },
              {
                name: 'Actions',
                isActions: true,
                cell: one => (
                  <Button
                    size="small"
                    disabled={recovering.busy}
                    aria-label={`Recover ${one.name}`}
                    onClick={() => void recover(one)}
                  >
                    Recover
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Loaded>
    </>
  )
}

async function deletedVaults(): Promise<Gone[]> {
  const found = await everywhere<DeletedVault>('Microsoft.KeyVault/deletedVaults', VERSIONS.vaults)
  return found.map(({ name, properties: { vaultId, location, deletionDate, scheduledPurgeDate } }) => {
    const properties = { tenantId: config().tenantId, sku: { family: 'A', name: 'standard' }, createMode: 'recover' }
    const recover = () => arm(vaultId, VERSIONS.vaults, { method: 'PUT', body: { location, properties } })
    return { id: vaultId, name, location, deleted: deletionDate, purge: scheduledPurgeDate, recover }
  })
}

async function deletedAccounts(): Promise<Gone[]> {
  const found = await everywhere<DeletedAccount>('Microsoft.CognitiveServices/deletedAccounts', VERSIONS.accounts)
  return found.map(({ id, name, location, properties: { deletionDate, scheduledPurgeDate } }) => {
    const recover = () => {
      const body = { location, properties: { restore: true } }
      return arm(liveId(id), VERSIONS.accounts, { method: 'PUT', body })
    }
    return { id, name, location, deleted: deletionDate, purge: scheduledPurgeDate, recover }
  })
}

async function everywhere<T>(type: string, version: string): Promise<T[]> {
  const subscriptions = await listSubscriptions()
  const lists = subscriptions.map(({ subscriptionId }) =>
    armList<T>(`/subscriptions/${subscriptionId}/providers/${type}`, version),
  )
  return (await Promise.all(lists)).flat()
}

/** The id of a deleted account before and after its recovery. */
function liveId(deletedId: string): string {
  const parts = deletedId.split('/')
  const after = (name: string): string => parts[parts.findIndex(part => part.toLowerCase() === name) + 1] ?? ''
  const group = `/subscriptions/${after('subscriptions')}/resourceGroups/${after('resourcegroups')}`
  return `${group}/providers/Microsoft.CognitiveServices/accounts/${after('deletedaccounts')}`
}

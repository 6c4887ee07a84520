import { Button } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, armList, VERSIONS, type Account, type Deployment } from '../../api/arm.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Loaded } from '../../parts/states.tsx'
import { ChatPane } from './chat-pane.tsx'
import { DeploymentForm } from './create-deployment.tsx'

export function Deployments({ account }: { account: Account }) {
  const deployments = useQuery({
    queryKey: ['deployments', account.id],
    queryFn: () => armList<Deployment>(`${account.id}/deployments`, VERSIONS.accounts),
  })
  const [creating, setCreating] = useState(false)
  const [changing, setChanging] = useState<Deployment>()
  const [trying, setTrying] = useState<string>()
  const [deleting, setDeleting] = useState<string>()
  return (
    <>
      <div className="commands">
        <Button appearance="primary" onClick={() => setCreating(true)}>
          Deploy model
        </Button>
        <Button appearance="subtle" onClick={() => void deployments.refetch()}>
          Refresh
        </Button>
      </div>
      <p className="muted">
        What is deployed keeps serving after its key was revoked, until the deployment is deleted or where it is set to
        stop with its key.
      </p>
      <Loaded query={deployments} what="deployments">
        {found => (
          <Rows
            label="Deployments"
            rows={found}
            keyOf={deployment => deployment.id}
            empty="Nothing is deployed yet. Deploy a model to chat with it."
            columns={[
              { name: 'Name', cell: ({ name }) => <span className="anywhere">{name}</span> },
              { name: 'Model', cell: ({ properties }) => <span className="mono wrap">{properties.model.name}</span> },
              { name: 'State', cell: ({ properties }) => properties.provisioningState },
              { name: 'Capacity', cell: ({ sku }) => sku?.capacity ?? '-' },
              {
                name: 'Without its key',
                cell: ({ properties }) => (properties['onKeyUnavailable'] === 'stop' ? 'stops' : 'keeps serving'),
              },
              {
                name: 'Actions',
                isActions: true,
                cell: deployment => (
                  <>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Try it: ${deployment.name}`}
                      onClick={() => setTrying(deployment.name)}
                    >
                      Try it
                    </Button>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Change ${deployment.name}`}
                      onClick={() => setChanging(deployment)}
                    >
                      Change
                    </Button>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Delete ${deployment.name}`}
                      onClick={() => setDeleting(deployment.name)}
                    >
                      Delete
                    </Button>
                  </>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      {trying !== undefined && (
        <ChatPane key={trying} account={account} deployment={trying} onClose={() => setTrying(undefined)} />
      )}
      {(creating || changing !== undefined) && (
        <DeploymentForm
          account={account}
          present={changing}
          onDone={async () => void (await deployments.refetch())}
          onClose={() => {
            setCreating(false)
            setChanging(undefined)
          }}
        />
      )}
      {deleting !== undefined && (
        <Confirm
          title={`Delete the deployment ${deleting}?`}
          action="Delete"
          onConfirm={async () => {
            await arm(`${account.id}/deployments/${deleting}`, VERSIONS.accounts, { method: 'DELETE' })
            await deployments.refetch()
          }}
          onClose={() => setDeleting(undefined)}
        >
          <p>It stops answering, its process ends, and its copy of the weights is destroyed.</p>
        </Confirm>
      )}
    </>
  )
}

import { Button, Field, Input, Select } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, armList, VERSIONS, type Account, type Deployment } from '../../api/arm.ts'
import { openaiList } from '../../api/openai.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Loaded } from '../../parts/states.tsx'
import { ChatPane } from './chat-pane.tsx'

interface Model {
  readonly id: string
  readonly status?: string
}

export function Deployments({ account }: { account: Account }) {
  const deployments = useQuery({
    queryKey: ['deployments', account.id],
    queryFn: () => armList<Deployment>(`${account.id}/deployments`, VERSIONS.accounts),
  })
  const [creating, setCreating] = useState(false)
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
        What is deployed keeps serving after its key was revoked, until the deployment is deleted.
      </p>
      <Loaded query={deployments} what="deployments">
        {found => (
          <Rows
            label="Deployments"
            rows={found}
            keyOf={deployment => deployment.id}
            empty="Nothing is deployed yet. Deploy a model to chat with it."
            columns={[
              { name: 'Name', cell: ({ name }) => name },
              { name: 'Model', cell: ({ properties }) => <span className="mono">{properties.model.name}</span> },
              { name: 'State', cell: ({ properties }) => properties.provisioningState },
              { name: 'Capacity', cell: ({ sku }) => sku?.capacity ?? '-' },
              {
                name: 'Actions',
                isActions: true,
                cell: ({ name }) => (
                  <>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Try it: ${name}`}
                      onClick={() => setTrying(name)}
                    >
                      Try it
                    </Button>
                    <Button
                      size="small"
                      appearance="subtle"
                      aria-label={`Delete ${name}`}
                      onClick={() => setDeleting(name)}
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
      {creating && (
        <CreateDeployment
          account={account}
          onDone={async () => void (await deployments.refetch())}
          onClose={() => setCreating(false)}
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

function CreateDeployment({
  account,
  onDone,
  onClose,
}: {
  account: Account
  onDone: () => Promise<void>
  onClose: () => void
}) {
  const models = useQuery({ queryKey: ['models', account.id], queryFn: () => openaiList<Model>(account, '/models') })
  const [name, setName] = useState('')
  const [chosen, setChosen] = useState('')
  const model = chosen === '' ? (models.data?.[0]?.id ?? '') : chosen
  const create = async (): Promise<void> => {
    const body = {
      sku: { name: 'Standard', capacity: 1 },
      properties: { model: { format: 'OpenAI', name: model, version: '1' } },
    }
    await arm(`${account.id}/deployments/${encodeURIComponent(name.trim())}`, VERSIONS.accounts, {
      method: 'PUT',
      body,
    })
    await onDone()
  }
  return (
    <Confirm
      title="Deploy model"
      action="Deploy"
      disabled={name.trim() === '' || model === ''}
      onConfirm={create}
      onClose={onClose}
    >
      <Field label="Model" required>
        <Select value={model} onChange={(_, { value }) => setChosen(value)}>
          {(models.data ?? []).map(({ id }) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Deployment name" required hint="What clients send as model.">
        <Input value={name} onChange={(_, { value }) => setName(value)} />
      </Field>
    </Confirm>
  )
}

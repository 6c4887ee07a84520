import { Checkbox, Field, Input, Select } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, VERSIONS, type Account, type Deployment } from '../../api/arm.ts'
import { openaiList, type Model } from '../../api/openai.ts'
import { ModelOptions } from '../../parts/model-options.tsx'
import { Confirm } from '../../parts/confirm.tsx'
import { Failure } from '../../parts/states.tsx'

/** A new deployment, or the capacity of an existing one. */
export function DeploymentForm(props: {
  readonly account: Account
  readonly present?: Deployment | undefined
  readonly onDone: () => Promise<void>
  readonly onClose: () => void
}) {
  const { account, present, onDone, onClose } = props
  const models = useQuery({
    // A list from before a training lacks the new model, so it is fetched anew each time.
    queryKey: ['deployable models', account.id],
    gcTime: 0,
    queryFn: () => openaiList<Model>(account, '/models'),
  })
  const [name, setName] = useState(present?.name ?? '')
  const [chosen, setChosen] = useState(present?.properties.model.name ?? '')
  const [capacity, setCapacity] = useState(String(present?.sku?.capacity ?? 1))
  const [stops, setStops] = useState(present?.properties['onKeyUnavailable'] === 'stop')
  // A user who has just trained a model wants to deploy it. Base models are older than any.
  const newest = models.data?.reduce<Model | undefined>(
    (found, other) => (found === undefined || other.created_at > found.created_at ? other : found),
    undefined,
  )
  const model = chosen === '' ? (newest?.id ?? '') : chosen
  const units = Number(capacity)
  const save = async (): Promise<void> => {
    const body = {
      sku: { name: present?.sku?.name ?? 'Standard', capacity: units },
      properties: {
        model: { format: 'OpenAI', name: model, version: present?.properties.model.version ?? '1' },
        onKeyUnavailable: stops ? 'stop' : 'serve',
      },
    }
    const path = `${account.id}/deployments/${encodeURIComponent(name.trim())}`
    await arm(path, VERSIONS.accounts, { method: 'PUT', body })
    await onDone()
  }
  return (
    <Confirm
      title={present === undefined ? 'Deploy model' : `Change ${present.name}`}
      action={present === undefined ? 'Deploy' : 'Save'}
      disabled={name.trim() === '' || model === '' || !(units >= 1)}
      onConfirm={save}
      onClose={onClose}
    >
      {models.error !== null && <Failure error={models.error} onRetry={() => void models.refetch()} />}
      <Field label="Model" required>
        <Select value={model} disabled={present !== undefined} onChange={(_, { value }) => setChosen(value)}>
          {present !== undefined && <option value={model}>{model}</option>}
          {present === undefined && <ModelOptions models={models.data ?? []} />}
        </Select>
      </Field>
      {present === undefined && (
        <Field label="Deployment name" required hint="Clients send it as the model.">
          <Input value={name} onChange={(_, { value }) => setName(value)} />
        </Field>
      )}
      <Field
        label="Capacity"
        required
        hint="In thousands of tokens a minute, as Azure counts it; recorded, and not enforced."
      >
        <Input
          type="number"
          min={1}
          max={10_000}
          step={1}
          value={capacity}
          onChange={(_, { value }) => setCapacity(value)}
        />
      </Field>
      <Checkbox
        label="Stop serving when the customer-managed key is unavailable"
        checked={stops}
        onChange={(_, { checked }) => setStops(checked === true)}
      />
    </Confirm>
  )
}

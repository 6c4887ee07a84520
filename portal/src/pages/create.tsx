import { Checkbox, Field, Input, Select } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { arm, listSubscriptions, VERSIONS } from '../api/arm.ts'
import { config } from '../api/config.ts'
import { useRefresh } from '../api/hooks.ts'
import { accessToken } from '../api/session.ts'
import { Confirm } from '../parts/confirm.tsx'

interface Place {
  readonly subscription: string
  readonly group: string
  readonly name: string
}

/** Subscription, group and name: the first fields of every new resource. */
function usePlace() {
  const subscriptions = useQuery({ queryKey: ['subscriptions'], queryFn: listSubscriptions })
  const [chosen, setChosen] = useState('')
  const [group, setGroup] = useState('default')
  const [name, setName] = useState('')
  const subscription = chosen === '' ? (subscriptions.data?.[0]?.subscriptionId ?? '') : chosen
  const place: Place = { subscription, group: group.trim(), name: name.trim() }
  const fields = (
    <>
      <Field label="Subscription" required>
        <Select value={subscription} onChange={(_, { value }) => setChosen(value)}>
          {(subscriptions.data ?? []).map(({ subscriptionId, displayName }) => (
            <option key={subscriptionId} value={subscriptionId}>
              {displayName}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Resource group" required hint="Made when it does not exist yet.">
        <Input value={group} onChange={(_, { value }) => setGroup(value)} />
      </Field>
      <Field label="Name" required>
        <Input value={name} onChange={(_, { value }) => setName(value)} autoFocus />
      </Field>
    </>
  )
  return { place, fields, isComplete: subscription !== '' && place.group !== '' && place.name !== '' }
}

async function createIn(
  { subscription, group, name }: Place,
  provider: string,
  version: string,
  body: object,
): Promise<string> {
  const groupId = `/subscriptions/${subscription}/resourceGroups/${group}`
  const { location } = config()
  await arm(groupId, VERSIONS.resources, { method: 'PUT', body: { location } })
  const id = `${groupId}/providers/${provider}/${name}`
  await arm(id, version, { method: 'PUT', body: { location, ...body } })
  return id
}

export function CreateAccount({ onClose }: { onClose: () => void }) {
  const { place, fields, isComplete } = usePlace()
  const refresh = useRefresh()
  const [, navigate] = useLocation()
  const create = async (): Promise<void> => {
    const body = {
      kind: 'OpenAI',
      sku: { name: 'S0' },
      identity: { type: 'SystemAssigned' },
      properties: { customSubDomainName: place.name.toLowerCase() },
    }
    const id = await createIn(place, 'Microsoft.CognitiveServices/accounts', VERSIONS.accounts, body)
    await refresh()
    navigate(`/resource${id}`)
  }
  return (
    <Confirm
      title="Create an Azure OpenAI resource"
      action="Create"
      disabled={!isComplete}
      onConfirm={create}
      onClose={onClose}
    >
      {fields}
      <p className="muted small">
        It begins under Microsoft-managed keys, with its system-assigned identity on. A customer-managed key is chosen
        on its page Encryption.
      </p>
    </Confirm>
  )
}

export function CreateVault({ onClose }: { onClose: () => void }) {
  const { place, fields, isComplete } = usePlace()
  const [isPremium, setPremium] = useState(false)
  const refresh = useRefresh()
  const [, navigate] = useLocation()
  const create = async (): Promise<void> => {
    const { tenantId } = config()
    const claims = JSON.parse(
      atob((await accessToken('management')).split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? ''),
    ) as {
      oid: string
    }
    const manage = [
      'get',
      'list',
      'create',
      'import',
      'update',
      'delete',
      'recover',
      'purge',
      'rotate',
      'backup',
      'restore',
      'getrotationpolicy',
      'setrotationpolicy',
    ]
    const body = {
      properties: {
        tenantId,
        sku: { family: 'A', name: isPremium ? 'premium' : 'standard' },
        enablePurgeProtection: true,
        enableRbacAuthorization: false,
        accessPolicies: [{ tenantId, objectId: claims.oid, permissions: { keys: manage } }],
      },
    }
    const id = await createIn(place, 'Microsoft.KeyVault/vaults', VERSIONS.vaults, body)
    await refresh()
    navigate(`/resource${id}`)
  }
  return (
    <Confirm title="Create a key vault" action="Create" disabled={!isComplete} onConfirm={create} onClose={onClose}>
      {fields}
      <Checkbox
        checked={isPremium}
        onChange={(_, { checked }) => setPremium(checked === true)}
        label="Premium: with RSA-HSM keys"
      />
      <p className="muted small">
        As customer-managed keys need it: soft delete and purge protection on (purge protection can't be turned off
        again), access policies, and you may manage its keys.
      </p>
    </Confirm>
  )
}

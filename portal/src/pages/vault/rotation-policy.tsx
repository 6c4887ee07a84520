import { Field, Input } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { vault as vaultCall, type RotationPolicy } from '../../api/vault.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Loaded } from '../../parts/states.tsx'

/** When a key gets a new version by itself. Times are ISO 8601 durations, as the vault's API has them. */
export function RotationPolicyForm(props: {
  readonly vaultUri: string
  readonly name: string
  readonly onClose: () => void
}) {
  const path = `/keys/${props.name}/rotationpolicy`
  const policy = useQuery({
    queryKey: ['rotation', props.vaultUri, props.name],
    queryFn: () => vaultCall<RotationPolicy>(props.vaultUri, path),
  })
  return (
    <Loaded query={policy} what="the policy">
      {found => <Form {...props} path={path} policy={found} onSaved={async () => void (await policy.refetch())} />}
    </Loaded>
  )
}

function Form(props: {
  readonly vaultUri: string
  readonly name: string
  readonly path: string
  readonly policy: RotationPolicy
  readonly onSaved: () => Promise<void>
  readonly onClose: () => void
}) {
  const { vaultUri, name, path, policy, onSaved, onClose } = props
  const rotate = policy.lifetimeActions?.find(({ action }) => action.type.toLowerCase() === 'rotate')
  const [expiry, setExpiry] = useState(policy.attributes?.expiryTime ?? '')
  const [after, setAfter] = useState(rotate?.trigger.timeAfterCreate ?? '')
  const save = async (): Promise<void> => {
    const others = (policy.lifetimeActions ?? []).filter(({ action }) => action.type.toLowerCase() !== 'rotate')
    const own = after === '' ? [] : [{ trigger: { timeAfterCreate: after }, action: { type: 'Rotate' } }]
    const body = { lifetimeActions: [...own, ...others], attributes: expiry === '' ? {} : { expiryTime: expiry } }
    await vaultCall(vaultUri, path, { method: 'PUT', body })
    await onSaved()
  }
  return (
    <Confirm title={`Rotation policy of ${name}`} action="Save" onConfirm={save} onClose={onClose}>
      <Field label="Expiry time" hint="Of each new version, for example P90D. At least 28 days; empty: never.">
        <Input value={expiry} onChange={(_, { value }) => setExpiry(value)} />
      </Field>
      <Field label="Rotate after creation" hint="For example P60D; empty: not by itself.">
        <Input value={after} onChange={(_, { value }) => setAfter(value)} />
      </Field>
    </Confirm>
  )
}

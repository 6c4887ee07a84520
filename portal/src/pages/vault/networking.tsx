import { Button, Checkbox, Field, Radio, RadioGroup, Textarea } from '@fluentui/react-components'
import { useState } from 'react'
import { arm, VERSIONS, type Vault } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Failure } from '../../parts/states.tsx'

/** R09: the vault's firewall, and who passes it. */
export function Networking({ vault }: { vault: Vault }) {
  const { networkAcls } = vault.properties
  const [action, setAction] = useState(networkAcls?.defaultAction ?? 'Allow')
  const [bypass, setBypass] = useState(networkAcls?.bypass !== 'None')
  const [rules, setRules] = useState((networkAcls?.ipRules ?? []).map(({ value }) => value).join('\n'))
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const refresh = useRefresh()
  const save = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    const ipRules = rules
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(value => ({ value }))
    const acls = { defaultAction: action, bypass: bypass ? 'AzureServices' : 'None', ipRules, virtualNetworkRules: [] }
    try {
      await arm(vault.id, VERSIONS.vaults, { method: 'PATCH', body: { properties: { networkAcls: acls } } })
      await refresh()
    } catch (failed) {
      setError(failed)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      <div className="commands">
        <Button appearance="primary" disabled={busy} onClick={() => void save()}>
          {busy ? 'Saving…' : 'Save'}
        </Button>
      </div>
      {error !== undefined && <Failure error={error} />}
      <div className="form">
        <Field label="Allow access from">
          <RadioGroup value={action} onChange={(_, { value }) => setAction(value)}>
            <Radio value="Allow" label="All networks" />
            <Radio value="Deny" label="Selected addresses only" />
          </RadioGroup>
        </Field>
        {action === 'Deny' && (
          <Field
            label="Firewall: IP addresses or ranges"
            hint="One on each line, for example 192.0.2.0/24. This browser needs to be among them."
          >
            <Textarea value={rules} rows={5} onChange={(_, { value }) => setRules(value)} />
          </Field>
        )}
        <Field
          label="Exception"
          hint={action === 'Deny' && !bypass ? 'Resources under keys of this vault lose their keys.' : undefined}
        >
          <Checkbox
            checked={bypass}
            onChange={(_, { checked }) => setBypass(checked === true)}
            label="Allow trusted Microsoft services to bypass this firewall"
          />
        </Field>
      </div>
    </>
  )
}

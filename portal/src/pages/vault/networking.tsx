import {
  Button,
  Checkbox,
  Field,
  MessageBar,
  MessageBarBody,
  Radio,
  RadioGroup,
  Textarea,
} from '@fluentui/react-components'
import { useState } from 'react'
import { arm, VERSIONS, type Vault } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { useAction } from '../../parts/action.ts'
import { Failure } from '../../parts/states.tsx'

/** R09: the vault's firewall, and who passes it. */
export function Networking({ vault }: { vault: Vault }) {
  const { networkAcls } = vault.properties
  const [action, setAction] = useState(networkAcls?.defaultAction ?? 'Allow')
  const [bypass, setBypass] = useState(networkAcls?.bypass !== 'None')
  const [rules, setRules] = useState((networkAcls?.ipRules ?? []).map(({ value }) => value).join('\n'))
  const saving = useAction()
  const [saved, setSaved] = useState(false)
  const refresh = useRefresh()
  const save = async (): Promise<void> => {
    setSaved(false)
    const ipRules = rules
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(value => ({ value }))
    const acls = { defaultAction: action, bypass: bypass ? 'AzureServices' : 'None', ipRules, virtualNetworkRules: [] }
    const went = await saving.run(async () => {
      await arm(vault.id, VERSIONS.vaults, { method: 'PATCH', body: { properties: { networkAcls: acls } } })
      await refresh()
    })
    setSaved(went)
  }
  return (
    <>
      <div className="commands">
        <Button appearance="primary" disabled={saving.busy} onClick={() => void save()}>
          {saving.busy ? 'Saving…' : 'Save'}
        </Button>
      </div>
      <div aria-live="polite">
        {saved && (
          <MessageBar intent="success" className="spaced">
            <MessageBarBody>Saved.</MessageBarBody>
          </MessageBar>
        )}
      </div>
      {saving.error !== undefined && <Failure error={saving.error} />}
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

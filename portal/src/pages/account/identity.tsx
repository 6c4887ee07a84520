import { Button, MessageBar, MessageBarBody, Radio, RadioGroup } from '@fluentui/react-components'
import { useState } from 'react'
import { arm, VERSIONS, type Account } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copyable, Facts } from '../../parts/facts.tsx'
import { EncryptionWarnings } from './warnings.tsx'

/** R13, R31: the system-assigned identity, on and off. */
export function Identity({ account }: { account: Account }) {
  const isOn = account.identity?.principalId !== undefined
  const [wanted, setWanted] = useState(isOn ? 'on' : 'off')
  const [asking, setAsking] = useState(false)
  const refresh = useRefresh()
  const save = async (): Promise<void> => {
    const type = wanted === 'on' ? 'SystemAssigned' : 'None'
    await arm(account.id, VERSIONS.accounts, { method: 'PATCH', body: { identity: { type } } })
    await refresh()
  }
  const usesKey = account.properties.encryption?.keySource === 'Microsoft.KeyVault'
  return (
    <>
      <div className="commands">
        <Button appearance="primary" disabled={(wanted === 'on') === isOn} onClick={() => setAsking(true)}>
          Save
        </Button>
        <Button onClick={() => setWanted(isOn ? 'on' : 'off')} disabled={(wanted === 'on') === isOn}>
          Discard
        </Button>
      </div>
      <EncryptionWarnings account={account} />
      <p>
        A system-assigned managed identity is restricted to one per resource and is tied to the life of this resource. A
        key vault gives access to it.
      </p>
      <RadioGroup layout="horizontal" aria-label="Status" value={wanted} onChange={(_, { value }) => setWanted(value)}>
        <Radio value="off" label="Off" />
        <Radio value="on" label="On" />
      </RadioGroup>
      {account.identity?.principalId !== undefined && (
        <Facts
          facts={{ 'Object (principal) ID': <Copyable value={account.identity.principalId} label="the object id" /> }}
        />
      )}
      {asking && (
        <Confirm
          title={
            wanted === 'on' ? 'Enable system assigned managed identity' : 'Disable system assigned managed identity'
          }
          action="Yes"
          onConfirm={save}
          onClose={() => setAsking(false)}
        >
          {wanted === 'on' ? (
            <p>
              {account.name} will be registered with Microsoft Entra ID. Once it is registered, it can be granted
              permissions to access resources protected by Microsoft Entra ID.
            </p>
          ) : (
            <MessageBar intent="warning" layout="multiline">
              <MessageBarBody>
                The identity is removed for good: turning it on again makes another one, which has to be given access
                anew.
                {usesKey &&
                  ' The customer-managed key of this resource becomes unavailable at once: downloads, new fine-tuning jobs and new deployments fail, and running jobs pause.'}
              </MessageBarBody>
            </MessageBar>
          )}
        </Confirm>
      )}
    </>
  )
}

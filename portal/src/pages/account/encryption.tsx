import { Button, MessageBar, MessageBarBody, Radio, RadioGroup } from '@fluentui/react-components'
import { useState } from 'react'
import type { Account, Encryption } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Facts, time } from '../../parts/facts.tsx'
import { Failure } from '../../parts/states.tsx'
import { Confirm } from '../../parts/confirm.tsx'
import { EncryptionBadge } from '../home.tsx'
import { CheckList } from './check-list.tsx'
import { KeyChoice, useKeyChoice } from './key-choice.tsx'
import { disableKey, enableKey } from './save-encryption.ts'

/** R15 to R17, R29, R30: whose key the data is under. */
export function EncryptionPage({ account }: { account: Account }) {
  const { encryption } = account.properties
  const isCustomer = encryption?.keySource === 'Microsoft.KeyVault'
  const [source, setSource] = useState(isCustomer ? 'customer' : 'microsoft')
  const choice = useKeyChoice(encryption)
  const [asking, setAsking] = useState(false)
  const [busy, setBusy] = useState(false)
  const [step, setStep] = useState('')
  const [error, setError] = useState<unknown>()
  const refresh = useRefresh()
  const save = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    setStep('')
    try {
      if (choice.key === undefined) return
      await enableKey(account, choice.key, choice.vault, setStep)
      setStep('Saved: the data is under this key.')
      await refresh()
    } catch (failed) {
      setStep('')
      setError(failed)
    } finally {
      setBusy(false)
    }
  }
  const isUnchanged = source === 'microsoft' ? !isCustomer : isCustomer && choice.isPresent
  return (
    <>
      <div className="commands">
        <Button
          appearance="primary"
          disabled={busy || isUnchanged || (source === 'customer' && choice.key === undefined)}
          onClick={() => (source === 'microsoft' ? setAsking(true) : void save())}
        >
          {busy ? 'Saving…' : 'Save'}
        </Button>
        <Button
          disabled={busy}
          onClick={() => {
            setSource(isCustomer ? 'customer' : 'microsoft')
            choice.reset()
            setError(undefined)
          }}
        >
          Discard
        </Button>
      </div>
      <div aria-live="polite">
        {step !== '' && (
          <MessageBar intent="success">
            <MessageBarBody>{step}</MessageBarBody>
          </MessageBar>
        )}
      </div>
      {error !== undefined && <Failure error={error} />}
      <Present account={account} encryption={encryption} />
      <p>
        All data of this resource is encrypted at rest, always. Choose whose key protects it: one of this service, or
        one of yours in a key vault.
      </p>
      <RadioGroup aria-label="Encryption type" value={source} onChange={(_, { value }) => setSource(value)}>
        <Radio value="microsoft" label="Microsoft Managed Keys" />
        <Radio value="customer" label="Customer Managed Keys" />
      </RadioGroup>
      {source === 'customer' && (
        <>
          <KeyChoice choice={choice} />
          <h2 className="section">Requirements</h2>
          <CheckList account={account} choice={choice} />
        </>
      )}
      {asking && (
        <Confirm
          title="Use Microsoft-managed keys?"
          action="Disable customer-managed key"
          onConfirm={async () => {
            await disableKey(account)
            await refresh()
          }}
          onClose={() => setAsking(false)}
        >
          <p>
            The data keys are re-wrapped under keys of this service; the data itself is not touched. Your key has to be
            available at this moment. Afterwards, revoking it has no effect on this resource.
          </p>
        </Confirm>
      )}
    </>
  )
}

function Present({ account, encryption }: { account: Account; encryption: Encryption | undefined }) {
  const { keyVaultProperties: key, status } = encryption ?? {}
  return (
    <>
      {status?.state === 'KeyUnavailable' && (
        <MessageBar intent="error" layout="multiline">
          <MessageBarBody>
            The key is unavailable ({status.cause ?? 'unknown cause'}) since {time(status.since)}. Downloads, new jobs
            and new deployments fail; what is deployed keeps serving.
          </MessageBarBody>
        </MessageBar>
      )}
      <Facts
        facts={{
          'Protected by': <EncryptionBadge account={account} />,
          ...(key === undefined
            ? {}
            : {
                'Key vault': <span className="mono">{key.keyVaultUri}</span>,
                Key: key.keyName,
                Version: <span className="mono">{key.keyVersion || status?.keyVersion || 'the newest'}</span>,
                'Last seen available': time(status?.lastSuccess),
              }),
        }}
      />
    </>
  )
}

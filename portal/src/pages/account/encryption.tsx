import { Button, Checkbox, MessageBar, MessageBarBody, Radio, RadioGroup } from '@fluentui/react-components'
import { useState } from 'react'
import { Link } from 'wouter'
import type { Account } from '../../api/arm.ts'
import { vaultOf } from '../../api/attention.ts'
import { useRefresh, useVaults } from '../../api/hooks.ts'
import { useAction } from '../../parts/action.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Failure } from '../../parts/states.tsx'
import { CheckList } from './check-list.tsx'
import { KeyChoice, useKeyChoice } from './key-choice.tsx'
import { PresentKey } from './present-key.tsx'
import { ReEncrypt } from './re-encryption.tsx'
import { disableKey, enableKey } from './save-encryption.ts'
import { UpdateVersion, useVersions } from './update-version.tsx'

/** R15 to R17, R29, R30: the key of the data. */
export function EncryptionPage({ account }: { account: Account }) {
  const { encryption } = account.properties
  const isCustomer = encryption?.keySource === 'Microsoft.KeyVault'
  const [source, setSource] = useState(isCustomer ? 'customer' : 'microsoft')
  const choice = useKeyChoice(encryption)
  const vault = vaultOf(account, useVaults().data ?? [])
  const versions = useVersions(account, vault)
  const [asking, setAsking] = useState(false)
  const [moves, setMoves] = useState(false)
  const [said, setSaid] = useState({ text: '', isDone: false })
  const saving = useAction()
  const refresh = useRefresh()
  const done = (text: string): void => setSaid({ text, isDone: true })
  const save = async (): Promise<void> => {
    const went = await saving.run(async () => {
      if (choice.key === undefined) return
      await enableKey(account, choice.key, choice.vault, text => setSaid({ text, isDone: false }), moves)
      setMoves(false)
      done('Saved: the data is under this key.')
      await refresh()
    })
    if (!went) setSaid({ text: '', isDone: false })
  }
  const discard = (): void => {
    setSource(isCustomer ? 'customer' : 'microsoft')
    setMoves(false)
    choice.reset()
    saving.forget()
  }
  // Saving the same key again gives a renewed identity access.
  const isLost = encryption?.status?.state === 'KeyUnavailable'
  const isUnchanged = source === 'microsoft' ? !isCustomer : isCustomer && choice.isPresent && !isLost
  return (
    <>
      <div className="commands">
        <Button
          appearance="primary"
          disabled={saving.busy || isUnchanged || (source === 'customer' && choice.key === undefined)}
          onClick={() => (source === 'microsoft' ? setAsking(true) : void save())}
        >
          {saving.busy ? 'Saving…' : 'Save'}
        </Button>
        <Button disabled={saving.busy || isUnchanged} onClick={discard}>
          Discard
        </Button>
        <UpdateVersion account={account} versions={versions.data} onDone={done} />
      </div>
      <div aria-live="polite">
        {said.text !== '' && (
          <MessageBar intent={said.isDone ? 'success' : 'info'} className="spaced">
            <MessageBarBody>{said.text}</MessageBarBody>
          </MessageBar>
        )}
      </div>
      {saving.error !== undefined && <Failure error={saving.error} />}
      <PresentKey account={account} vault={vault} versions={versions.data} />
      <p>
        All data of this resource is encrypted at rest, always. Choose whose key protects it: one of this service, or
        one of yours in a key vault.{' '}
        <Link className="link" href="/truth-table">
          What stops when your key is taken away
        </Link>
      </p>
      <h2 className="section" id="encryption-type">
        Encryption type
      </h2>
      <RadioGroup aria-labelledby="encryption-type" value={source} onChange={(_, { value }) => setSource(value)}>
        <Radio value="microsoft" label="Microsoft Managed Keys" />
        <Radio value="customer" label="Customer Managed Keys" />
      </RadioGroup>
      {source === 'customer' && (
        <>
          <KeyChoice choice={choice} />
          {!isUnchanged && <Moves moves={moves} onChange={setMoves} />}
          <h2 className="section">Requirements</h2>
          <CheckList account={account} choice={choice} />
        </>
      )}
      <ReEncrypt account={account} />
      {asking && (
        <Disable
          account={account}
          onDone={() => done('Saved: the data is under Microsoft-managed keys.')}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}

/** The effect of a new key on stored data, and whether that is re-encrypted too. */
function Moves({ moves, onChange }: { moves: boolean; onChange: (moves: boolean) => void }) {
  return (
    <>
      <Checkbox
        checked={moves}
        onChange={(_, { checked }) => onChange(checked === true)}
        label="Re-encrypt what is stored already"
      />
      <p className="muted">
        From Save on everything new is sealed under a data key that no other key has wrapped. What is stored already
        stays under the data key from before, which a copy of the database from before may still open, until it is
        re-encrypted.
      </p>
    </>
  )
}

/** R29: says what the change needs and does. */
function Disable({ account, onDone, onClose }: { account: Account; onDone: () => void; onClose: () => void }) {
  const refresh = useRefresh()
  return (
    <Confirm
      title="Use Microsoft-managed keys?"
      action="Disable customer-managed key"
      onConfirm={async () => {
        await disableKey(account)
        onDone()
        await refresh()
      }}
      onClose={onClose}
    >
      <p>
        The data keys are re-wrapped under keys of this service; the data itself is not touched. Your key has to be
        available at this moment. Afterwards, revoking it has no effect on this resource.
      </p>
    </Confirm>
  )
}

import { Button } from '@fluentui/react-components'
import { useState } from 'react'
import { useRefresh } from '../../api/hooks.ts'
import { kidParts, vault as vaultCall, type KeyItem } from '../../api/vault.ts'
import { useAction } from '../../parts/action.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copyable, time } from '../../parts/facts.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure } from '../../parts/states.tsx'
import { ExpiryForm } from './expiry-form.tsx'

/** The versions of a key, newest first; each can be disabled, enabled or given an expiry (R21). */
export function KeyVersions({ uri, name, versions }: { uri: string; name: string; versions: readonly KeyItem[] }) {
  const [expiring, setExpiring] = useState<KeyItem>()
  const [disabling, setDisabling] = useState<string>()
  const enabling = useAction()
  const refresh = useRefresh()
  const enable = async (version: string, enabled: boolean): Promise<void> => {
    await vaultCall(uri, `/keys/${name}/${version}`, { method: 'PATCH', body: { attributes: { enabled } } })
    await refresh()
  }
  return (
    <>
      {enabling.error !== undefined && <Failure error={enabling.error} />}
      <Rows
        label={`Versions of ${name}`}
        rows={versions.toSorted((a, b) => b.attributes.created - a.attributes.created)}
        keyOf={({ kid }) => kid}
        empty="This key has no versions."
        columns={[
          {
            name: 'Key identifier',
            cell: ({ kid }) => (
              <span className="wraps">
                <Copyable value={kid} label="the key identifier" />
              </span>
            ),
          },
          {
            name: 'Status',
            cell: ({ attributes: { enabled } }) => (
              <span className={enabled ? 'good' : 'bad'}>{enabled ? 'Enabled' : 'Disabled'}</span>
            ),
          },
          { name: 'Created', cell: ({ attributes }) => <span className="nowrap">{time(attributes.created)}</span> },
          { name: 'Expires', cell: ({ attributes }) => <span className="nowrap">{time(attributes.exp)}</span> },
          {
            name: 'Actions',
            isActions: true,
            cell: item => {
              const { version } = kidParts(item.kid)
              const { enabled } = item.attributes
              return (
                <>
                  <Button
                    size="small"
                    appearance="subtle"
                    aria-label={`Expiration of version ${version}`}
                    onClick={() => setExpiring(item)}
                  >
                    Expiration
                  </Button>
                  <Button
                    size="small"
                    appearance="subtle"
                    disabled={enabling.busy}
                    aria-label={`${enabled ? 'Disable' : 'Enable'} version ${version}`}
                    onClick={() => (enabled ? setDisabling(version) : void enabling.run(() => enable(version, true)))}
                  >
                    {enabled ? 'Disable' : 'Enable'}
                  </Button>
                </>
              )
            },
          },
        ]}
      />
      {expiring !== undefined && (
        <ExpiryForm vaultUri={uri} version={expiring} onClose={() => setExpiring(undefined)} />
      )}
      {disabling !== undefined && (
        <Confirm
          title="Disable this version?"
          action="Disable"
          onConfirm={() => enable(disabling, false)}
          onClose={() => setDisabling(undefined)}
        >
          <p>
            Resources whose data keys are wrapped by <span className="mono">{disabling}</span> can no longer open their
            data, until it is enabled again.
          </p>
        </Confirm>
      )}
    </>
  )
}

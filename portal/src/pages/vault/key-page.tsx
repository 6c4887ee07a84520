import { Button } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { Vault } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { kidParts, vault as vaultCall, vaultList, type KeyItem } from '../../api/vault.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copyable, time } from '../../parts/facts.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { RotationPolicyForm } from './rotation-policy.tsx'

/** One key: its versions, each with its identifier, and its rotation. */
export function KeyPage({ vault, name }: { vault: Vault; name: string }) {
  const uri = vault.properties.vaultUri
  const versions = useQuery({
    queryKey: ['versions', uri, name],
    queryFn: () => vaultList<KeyItem>(uri, `/keys/${name}/versions`),
  })
  const [deleting, setDeleting] = useState(false)
  const [planning, setPlanning] = useState(false)
  const [error, setError] = useState<unknown>()
  const refresh = useRefresh()
  const [, navigate] = useLocation()
  const act = async (path: string, method: 'POST' | 'PATCH', body?: object): Promise<void> => {
    setError(undefined)
    try {
      await vaultCall(uri, path, { method, ...(body && { body }) })
      await refresh()
    } catch (failed) {
      setError(failed)
    }
  }
  return (
    <>
      <p>
        <Link className="link" href={`/resource${vault.id}/keys`}>
          Keys
        </Link>{' '}
        › {name}
      </p>
      <div className="commands">
        <Button appearance="primary" onClick={() => void act(`/keys/${name}/rotate`, 'POST')}>
          Rotate now
        </Button>
        <Button onClick={() => setPlanning(true)}>Rotation policy</Button>
        <Button onClick={() => setDeleting(true)}>Delete</Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      {error !== undefined && <Failure error={error} />}
      <Loaded query={versions} what="versions">
        {found => (
          <Rows
            label={`Versions of ${name}`}
            rows={found.toSorted((a, b) => b.attributes.created - a.attributes.created)}
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
              { name: 'Status', cell: ({ attributes }) => (attributes.enabled ? 'Enabled' : 'Disabled') },
              { name: 'Created', cell: ({ attributes }) => <span className="nowrap">{time(attributes.created)}</span> },
              { name: 'Expires', cell: ({ attributes }) => time(attributes.exp) },
              {
                name: 'Actions',
                isActions: true,
                cell: ({ kid, attributes }) => (
                  <Button
                    size="small"
                    aria-label={`${attributes.enabled ? 'Disable' : 'Enable'} version ${kidParts(kid).version}`}
                    onClick={() =>
                      void act(`/keys/${name}/${kidParts(kid).version}`, 'PATCH', {
                        attributes: { enabled: !attributes.enabled },
                      })
                    }
                  >
                    {attributes.enabled ? 'Disable' : 'Enable'}
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      {planning && <RotationPolicyForm vaultUri={uri} name={name} onClose={() => setPlanning(false)} />}
      {deleting && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete"
          onConfirm={async () => {
            await vaultCall(uri, `/keys/${name}`, { method: 'DELETE' })
            // This page must not ask for a key that is gone.
            await refresh('vault-keys', 'deleted-keys')
            navigate(`/resource${vault.id}/keys`)
          }}
          onClose={() => setDeleting(false)}
        >
          <p>All its versions are deleted. Resources under it can no longer open their data, until it is recovered.</p>
        </Confirm>
      )}
    </>
  )
}

import { Button } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { Vault } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { vault as vaultCall, vaultList, type KeyItem } from '../../api/vault.ts'
import { useAction } from '../../parts/action.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { KeyVersions } from './key-versions.tsx'
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
  const rotating = useAction()
  const refresh = useRefresh()
  const [, navigate] = useLocation()
  const rotate = (): Promise<boolean> =>
    rotating.run(async () => {
      await vaultCall(uri, `/keys/${name}/rotate`, { method: 'POST' })
      await refresh()
    })
  return (
    <>
      <p className="path">
        <Link className="link" href={`/resource${vault.id}/keys`}>
          Keys
        </Link>{' '}
        › <strong>{name}</strong>
      </p>
      <div className="commands">
        <Button appearance="primary" disabled={rotating.busy} onClick={() => void rotate()}>
          Rotate now
        </Button>
        <Button onClick={() => setPlanning(true)}>Rotation policy</Button>
        <Button onClick={() => setDeleting(true)}>Delete</Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      {rotating.error !== undefined && <Failure error={rotating.error} />}
      <Loaded query={versions} what="versions">
        {found => <KeyVersions uri={uri} name={name} versions={found} />}
      </Loaded>
      {planning && <RotationPolicyForm vaultUri={uri} name={name} onClose={() => setPlanning(false)} />}
      {deleting && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete"
          onConfirm={async () => {
            await vaultCall(uri, `/keys/${name}`, { method: 'DELETE' })
            // This page must not fetch a key that is gone.
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

import { Button, MessageBar, MessageBarBody } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, VERSIONS, type AccessPolicy, type Vault } from '../../api/arm.ts'
import { namesOfPrincipals } from '../../api/graph.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Rows } from '../../parts/rows.tsx'
import { permissionLabel } from './permissions.tsx'
import { PolicyForm } from './policy-form.tsx'

/** R14: who may do what with the keys of this vault. */
export function AccessPolicies({ vault }: { vault: Vault }) {
  const policies = vault.properties.accessPolicies ?? []
  const names = useQuery({
    queryKey: ['names'],
    queryFn: namesOfPrincipals,
  })
  const [editing, setEditing] = useState<AccessPolicy | 'new'>()
  const [deleting, setDeleting] = useState<AccessPolicy>()
  const refresh = useRefresh()
  const nameOf = (objectId: string): string => names.data?.get(objectId) ?? objectId
  const labelOf = ({ objectId, applicationId }: AccessPolicy): string =>
    applicationId === undefined ? nameOf(objectId) : `${nameOf(objectId)} through ${nameOf(applicationId)}`
  const remove = async (policy: AccessPolicy): Promise<void> => {
    await arm(`${vault.id}/accessPolicies/remove`, VERSIONS.vaults, {
      method: 'PUT',
      body: { properties: { accessPolicies: [policy] } },
    })
    await refresh()
  }
  if (vault.properties.enableRbacAuthorization === true) {
    return (
      <MessageBar intent="warning" layout="multiline">
        <MessageBarBody>
          Access policies not available. The access configuration of this key vault is set to role-based access control,
          and a customer-managed key needs access policies. Change it with: az keyvault update --name {vault.name}{' '}
          --enable-rbac-authorization false
        </MessageBarBody>
      </MessageBar>
    )
  }
  return (
    <>
      <div className="commands">
        <Button appearance="primary" onClick={() => setEditing('new')}>
          Create
        </Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      <Rows
        label="Access policies"
        rows={policies}
        keyOf={({ objectId, applicationId }) => `${objectId} ${applicationId ?? ''}`}
        empty="There are no access policies: nobody can use a key of this vault."
        columns={[
          {
            name: 'Name',
            cell: ({ objectId }) =>
              names.data !== undefined && !names.data.has(objectId) ? (
                <span className="muted">Unknown: deleted or of another directory</span>
              ) : (
                nameOf(objectId)
              ),
          },
          { name: 'Object ID', cell: ({ objectId }) => <span className="mono">{objectId}</span> },
          ...(policies.some(({ applicationId }) => applicationId !== undefined)
            ? [
                {
                  name: 'Application',
                  cell: ({ applicationId }: AccessPolicy) =>
                    applicationId === undefined ? '-' : nameOf(applicationId),
                },
              ]
            : []),
          {
            name: 'Key permissions',
            cell: ({ permissions }) => (permissions.keys ?? []).map(permissionLabel).join(', ') || '-',
          },
          {
            name: 'Actions',
            isActions: true,
            cell: policy => (
              <>
                <Button
                  size="small"
                  appearance="subtle"
                  aria-label={`Edit ${labelOf(policy)}`}
                  onClick={() => setEditing(policy)}
                >
                  Edit
                </Button>
                <Button
                  size="small"
                  appearance="subtle"
                  aria-label={`Delete ${labelOf(policy)}`}
                  onClick={() => setDeleting(policy)}
                >
                  Delete
                </Button>
              </>
            ),
          },
        ]}
      />
      {editing !== undefined && (
        <PolicyForm
          vault={vault}
          policy={editing === 'new' ? undefined : editing}
          principalName={editing === 'new' ? '' : nameOf(editing.objectId)}
          onClose={() => setEditing(undefined)}
        />
      )}
      {deleting !== undefined && (
        <Confirm
          title={`Delete the policy of ${labelOf(deleting)}?`}
          action="Delete"
          onConfirm={() => remove(deleting)}
          onClose={() => setDeleting(undefined)}
        >
          <p>
            If this is the identity of a resource whose data is under a key of this vault, the key is revoked with it:
            its data can no longer be opened.
          </p>
        </Confirm>
      )}
    </>
  )
}

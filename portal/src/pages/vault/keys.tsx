import { Button, Field, Input, Radio, RadioGroup, Select } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import type { Vault } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { kidParts, vault as vaultCall, vaultList, type DeletedKey, type KeyItem } from '../../api/vault.ts'
import { useAction } from '../../parts/action.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { time } from '../../parts/facts.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { readKeyFile } from './key-file.ts'

/** The keys of a vault, those that were deleted, and new ones. */
export function KeysPage({ vault }: { vault: Vault }) {
  const uri = vault.properties.vaultUri
  const keys = useQuery({ queryKey: ['vault-keys', uri], queryFn: () => vaultList<KeyItem>(uri, '/keys') })
  const deleted = useQuery({
    queryKey: ['deleted-keys', uri],
    queryFn: () => vaultList<DeletedKey>(uri, '/deletedkeys'),
  })
  const [creating, setCreating] = useState(false)
  const [purging, setPurging] = useState<string>()
  const refresh = useRefresh()
  const recovering = useAction()
  const recover = (name: string): Promise<boolean> =>
    recovering.run(async () => {
      await vaultCall(uri, `/deletedkeys/${name}/recover`, { method: 'POST' })
      await refresh()
    })
  return (
    <>
      <div className="commands">
        <Button appearance="primary" onClick={() => setCreating(true)}>
          Generate/Import
        </Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      <Loaded query={keys} what="keys">
        {found => (
          <Rows
            label="Keys"
            rows={found}
            keyOf={({ kid }) => kid}
            empty="There are no keys yet. Generate one, or import your own."
            columns={[
              {
                name: 'Name',
                cell: ({ kid }) => (
                  <Link className="link" href={`/resource${vault.id}/keys/${kidParts(kid).name}`}>
                    {kidParts(kid).name}
                  </Link>
                ),
              },
              { name: 'Status', cell: ({ attributes }) => (attributes.enabled ? 'Enabled' : 'Disabled') },
              { name: 'Expiration date', cell: ({ attributes }) => time(attributes.exp) },
              { name: 'Updated', cell: ({ attributes }) => time(attributes.updated) },
            ]}
          />
        )}
      </Loaded>
      <h2 className="section">Deleted keys</h2>
      {recovering.error !== undefined && <Failure error={recovering.error} />}
      <Loaded query={deleted} what="deleted keys">
        {found => (
          <Rows
            label="Deleted keys"
            rows={found}
            keyOf={({ kid }) => kid}
            empty="No deleted keys."
            columns={[
              { name: 'Name', cell: ({ kid }) => kidParts(kid).name },
              { name: 'Deleted', cell: ({ deletedDate }) => time(deletedDate) },
              { name: 'Scheduled purge', cell: ({ scheduledPurgeDate }) => time(scheduledPurgeDate) },
              {
                name: 'Actions',
                isActions: true,
                cell: ({ kid }) => (
                  <>
                    <Button
                      size="small"
                      disabled={recovering.busy}
                      onClick={() => void recover(kidParts(kid).name)}
                      aria-label={`Recover ${kidParts(kid).name}`}
                    >
                      Recover
                    </Button>{' '}
                    <Button
                      size="small"
                      disabled={vault.properties.enablePurgeProtection === true}
                      onClick={() => setPurging(kidParts(kid).name)}
                      aria-label={`Purge ${kidParts(kid).name}`}
                    >
                      Purge
                    </Button>
                  </>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      {creating && <CreateKey vault={vault} onClose={() => setCreating(false)} />}
      {purging !== undefined && (
        <Confirm
          title={`Purge ${purging}?`}
          action="Purge"
          onConfirm={async () => {
            await vaultCall(uri, `/deletedkeys/${purging}`, { method: 'DELETE' })
            await refresh()
          }}
          onClose={() => setPurging(undefined)}
        >
          <p>Data under this key is gone for good.</p>
        </Confirm>
      )}
    </>
  )
}

type Way = 'generate' | 'import' | 'restore'

function CreateKey({ vault, onClose }: { vault: Vault; onClose: () => void }) {
  const [way, setWay] = useState<Way>('generate')
  const [name, setName] = useState('')
  const [kty, setKty] = useState('RSA')
  const [size, setSize] = useState('2048')
  const [file, setFile] = useState<File>()
  const refresh = useRefresh()
  const uri = vault.properties.vaultUri
  const create = async (): Promise<void> => {
    if (way === 'generate') {
      const shape = kty.startsWith('RSA') ? { key_size: Number(size) } : { crv: size }
      await vaultCall(uri, `/keys/${name.trim()}/create`, { method: 'POST', body: { kty, ...shape } })
    } else if (way === 'import') {
      await vaultCall(uri, `/keys/${name.trim()}`, {
        method: 'PUT',
        body: { key: await readKeyFile(file) },
      })
    } else {
      await vaultCall(uri, '/keys/restore', { method: 'POST', body: { value: ((await file?.text()) ?? '').trim() } })
    }
    await refresh()
  }
  const sizes = kty.startsWith('RSA') ? ['2048', '3072', '4096'] : ['P-256', 'P-384', 'P-521', 'P-256K']
  const isComplete =
    (way === 'restore' || /^[0-9a-zA-Z-]{1,127}$/.test(name.trim())) && (way === 'generate' || file !== undefined)
  return (
    <Confirm title="Create a key" action="Create" disabled={!isComplete} onConfirm={create} onClose={onClose}>
      <Field label="Options">
        <RadioGroup layout="horizontal" value={way} onChange={(_, { value }) => setWay(value as Way)}>
          <Radio value="generate" label="Generate" />
          <Radio value="import" label="Import" />
          <Radio value="restore" label="Restore backup" />
        </RadioGroup>
      </Field>
      {way !== 'restore' && (
        <Field label="Name" required hint="Letters, digits and hyphens.">
          <Input value={name} onChange={(_, { value }) => setName(value)} />
        </Field>
      )}
      {way === 'generate' ? (
        <>
          <Field label="Key type">
            <Select
              value={kty}
              onChange={(_, { value }) => {
                setKty(value)
                setSize(value.startsWith('RSA') ? '2048' : 'P-256')
              }}
            >
              {['RSA', 'EC', ...(vault.properties.sku.name === 'premium' ? ['RSA-HSM', 'EC-HSM'] : [])].map(type => (
                <option key={type}>{type}</option>
              ))}
            </Select>
          </Field>
          <Field
            label={kty.startsWith('RSA') ? 'RSA key size' : 'Elliptic curve'}
            hint="A customer-managed key has to be RSA of size 2048."
          >
            <Select value={size} onChange={(_, { value }) => setSize(value)}>
              {sizes.map(one => (
                <option key={one}>{one}</option>
              ))}
            </Select>
          </Field>
        </>
      ) : (
        <Field
          label={way === 'import' ? 'File: a private key in PEM, or as JSON Web Key' : 'File: the text of a backup'}
          required
        >
          <input type="file" aria-label="Key file" onChange={({ target }) => setFile(target.files?.[0])} />
        </Field>
      )}
    </Confirm>
  )
}

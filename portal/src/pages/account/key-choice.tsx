import { Field, Input, Radio, RadioGroup, Select } from '@fluentui/react-components'
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useState } from 'react'
import { idParts, listSubscriptions, sameUri, type Encryption, type Vault } from '../../api/arm.ts'
import { useVaults } from '../../api/hooks.ts'
import { Failure } from '../../parts/states.tsx'
import { kidParts, vault as vaultCall, vaultList, type KeyBundle, type KeyItem } from '../../api/vault.ts'

/** A named key. With an empty version the newest is followed. */
export interface ChosenKey {
  readonly keyVaultUri: string
  readonly keyName: string
  readonly keyVersion: string
}

interface Form {
  readonly way: 'uri' | 'select'
  readonly uri: string
  /** Id of the chosen subscription; empty: that of the vault in the URI. */
  readonly subscription: string
  readonly vaultId: string
  readonly keyName: string
  readonly version: string
}

export interface Choice {
  readonly form: Form
  readonly set: (change: Partial<Form>) => void
  readonly reset: () => void
  readonly key: ChosenKey | undefined
  /** Whether the chosen key is the present one. */
  readonly isPresent: boolean
  readonly vault: Vault | undefined
  readonly bundle: UseQueryResult<KeyBundle>
}

/** R15: a key by its URI, or picked from a vault. */
export function useKeyChoice(encryption: Encryption | undefined): Choice {
  const present = encryption?.keyVaultProperties
  const uri =
    present === undefined
      ? ''
      : `${present.keyVaultUri.replace(/\/$/, '')}/keys/${present.keyName}${present.keyVersion ? `/${present.keyVersion}` : ''}`
  const initial: Form = { way: 'uri', uri, subscription: '', vaultId: '', keyName: '', version: '' }
  const [form, setForm] = useState(initial)
  const vaults = useVaults()
  const picked = vaults.data?.find(({ id }) => id === form.vaultId)
  const key =
    form.way === 'uri'
      ? keyOf(form.uri)
      : picked && form.keyName !== ''
        ? { keyVaultUri: picked.properties.vaultUri, keyName: form.keyName, keyVersion: form.version }
        : undefined
  const vault = vaults.data?.find(({ properties }) => sameUri(properties.vaultUri, key?.keyVaultUri ?? ''))
  const bundle = useQuery({
    queryKey: ['key', key?.keyVaultUri, key?.keyName, key?.keyVersion],
    queryFn: () =>
      vaultCall<KeyBundle>(
        key?.keyVaultUri ?? '',
        `/keys/${key?.keyName}${key?.keyVersion ? `/${key.keyVersion}` : ''}`,
      ),
    enabled: key !== undefined && vault !== undefined,
    retry: false,
  })
  return {
    form,
    set: change => setForm({ ...form, ...change }),
    reset: () => setForm(initial),
    key,
    isPresent:
      present !== undefined &&
      key !== undefined &&
      sameUri(present.keyVaultUri, key.keyVaultUri) &&
      present.keyName === key.keyName &&
      (present.keyVersion ?? '') === key.keyVersion,
    vault,
    bundle,
  }
}

function keyOf(uri: string): ChosenKey | undefined {
  const url = URL.parse(uri.trim())
  if (url?.protocol !== 'https:' || !/^\/keys\/[0-9a-zA-Z-]+(\/[0-9a-f]{32})?\/?$/.test(url.pathname)) return undefined
  const { vaultUri, name, version } = kidParts(uri.trim().replace(/\/$/, ''))
  return { keyVaultUri: vaultUri, keyName: name, keyVersion: version }
}

export function KeyChoice({ choice }: { choice: Choice }) {
  const { form, set } = choice
  return (
    <div className="form">
      <Field label="Encryption key">
        <RadioGroup
          layout="horizontal"
          value={form.way}
          onChange={(_, { value }) => set({ way: value as Form['way'] })}
        >
          <Radio value="uri" label="Enter key URI" />
          <Radio value="select" label="Select from Key Vault" />
        </RadioGroup>
      </Field>
      {form.way === 'uri' ? (
        <>
          <Field
            label="Key URI"
            required
            hint="https://<vault>/keys/<name>/<version>. Without a version the newest is followed."
            validationMessage={form.uri !== '' && choice.key === undefined ? 'This is not a key URI.' : undefined}
          >
            <Input value={form.uri} onChange={(_, { value }) => set({ uri: value })} spellCheck={false} />
          </Field>
          <SubscriptionOfVault choice={choice} />
        </>
      ) : (
        <Picker choice={choice} />
      )}
    </div>
  )
}

/** The subscription of the vault in the URI, which may be another than the resource's (R07). */
function SubscriptionOfVault({ choice: { form, set, vault } }: { choice: Choice }) {
  const subscriptions = useQuery({ queryKey: ['subscriptions'], queryFn: listSubscriptions })
  const own = vault === undefined ? '' : idParts(vault.id).subscriptionId
  const isOther = form.subscription !== '' && own !== '' && form.subscription !== own
  return (
    <Field
      label="Subscription"
      required
      hint="That of the key vault; it may be another than the resource's."
      validationMessage={isOther ? `${vault?.name} is in another subscription.` : undefined}
    >
      <Select value={form.subscription || own} onChange={(_, { value }) => set({ subscription: value })}>
        {(subscriptions.data ?? []).map(({ subscriptionId, displayName }) => (
          <option key={subscriptionId} value={subscriptionId}>
            {displayName}
          </option>
        ))}
      </Select>
    </Field>
  )
}

function Picker({ choice: { form, set } }: { choice: Choice }) {
  const vaults = useVaults()
  const vault = vaults.data?.find(({ id }) => id === form.vaultId)
  const uri = vault?.properties.vaultUri ?? ''
  const keys = useQuery({
    queryKey: ['vault-keys', uri],
    queryFn: () => vaultList<KeyItem>(uri, '/keys'),
    enabled: uri !== '',
    retry: false,
  })
  const versions = useQuery({
    queryKey: ['versions', uri, form.keyName],
    queryFn: () => vaultList<KeyItem>(uri, `/keys/${form.keyName}/versions`),
    enabled: uri !== '' && form.keyName !== '',
    retry: false,
  })
  const newestFirst = (versions.data ?? []).toSorted((a, b) => b.attributes.created - a.attributes.created)
  return (
    <>
      <Field label="Key vault" required>
        <Select value={form.vaultId} onChange={(_, { value }) => set({ vaultId: value, keyName: '', version: '' })}>
          <option value="">Choose a key vault</option>
          {(vaults.data ?? []).map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </Select>
      </Field>
      {keys.error !== null && <Failure error={keys.error} />}
      <Field
        label="Key"
        required
        hint={keys.data?.length === 0 ? 'This vault holds no keys yet. Generate one on its page Keys.' : undefined}
      >
        <Select
          value={form.keyName}
          onChange={(_, { value }) => set({ keyName: value, version: '' })}
          disabled={vault === undefined}
        >
          <option value="">Choose a key</option>
          {(keys.data ?? []).map(({ kid }) => (
            <option key={kid} value={kidParts(kid).name}>
              {kidParts(kid).name}
            </option>
          ))}
        </Select>
      </Field>
      {versions.error !== null && <Failure error={versions.error} />}
      <Field label="Version" hint="Always the newest: a rotation is followed by itself.">
        <Select
          value={form.version}
          onChange={(_, { value }) => set({ version: value })}
          disabled={form.keyName === ''}
        >
          <option value="">Always the newest</option>
          {newestFirst.map(({ kid }) => (
            <option key={kid} value={kidParts(kid).version}>
              {kidParts(kid).version}
            </option>
          ))}
        </Select>
      </Field>
    </>
  )
}

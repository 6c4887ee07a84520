import { Button, Checkbox, Field, Input, Radio, RadioGroup } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, VERSIONS, type AccessPolicy, type Vault } from '../../api/arm.ts'
import { config } from '../../api/config.ts'
import { searchPrincipals } from '../../api/graph.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Confirm } from '../../parts/confirm.tsx'

const GROUPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'Key Management Operations': {
    get: 'Get',
    list: 'List',
    update: 'Update',
    create: 'Create',
    import: 'Import',
    delete: 'Delete',
    recover: 'Recover',
    backup: 'Backup',
    restore: 'Restore',
  },
  'Cryptographic Operations': {
    decrypt: 'Decrypt',
    encrypt: 'Encrypt',
    unwrapKey: 'Unwrap Key',
    wrapKey: 'Wrap Key',
    verify: 'Verify',
    sign: 'Sign',
  },
  'Privileged Key Operations': { purge: 'Purge', release: 'Release' },
  'Rotation Policy Operations': {
    rotate: 'Rotate',
    getrotationpolicy: 'Get Rotation Policy',
    setrotationpolicy: 'Set Rotation Policy',
  },
}

const STEPS = ['Permissions', 'Principal', 'Review + create'] as const

/** R14: permissions, then the principal by its name, then what will be written. */
export function PolicyForm(props: {
  readonly vault: Vault
  readonly policy: AccessPolicy | undefined
  readonly principalName: string
  readonly onClose: () => void
}) {
  const { vault, policy, onClose } = props
  const [step, setStep] = useState(0)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    new Set((policy?.permissions.keys ?? []).map(name => name.toLowerCase())),
  )
  const [principal, setPrincipal] = useState({ id: policy?.objectId ?? '', name: props.principalName })
  const refresh = useRefresh()
  const spelled = Object.values(GROUPS).flatMap(group => Object.keys(group))
  const keys = spelled.filter(name => chosen.has(name.toLowerCase()))
  const save = async (): Promise<boolean> => {
    if (step < STEPS.length - 1) {
      setStep(policy === undefined ? step + 1 : STEPS.length - 1)
      return false
    }
    const accessPolicies = [
      { ...policy, tenantId: config().tenantId, objectId: principal.id, permissions: { ...policy?.permissions, keys } },
    ]
    const kind = policy === undefined ? 'add' : 'replace'
    const others =
      kind === 'replace'
        ? (vault.properties.accessPolicies ?? []).filter(({ objectId }) => objectId !== principal.id)
        : []
    await arm(`${vault.id}/accessPolicies/${kind}`, VERSIONS.vaults, {
      method: 'PUT',
      body: { properties: { accessPolicies: [...others, ...accessPolicies] } },
    })
    await refresh()
    return true
  }
  const disabled = [keys.length === 0, principal.id === '', false][step] ?? false
  return (
    <Confirm
      title={policy === undefined ? 'Create an access policy' : 'Edit an access policy'}
      action={step === STEPS.length - 1 ? (policy === undefined ? 'Create' : 'Save') : 'Next'}
      disabled={disabled}
      onConfirm={save}
      onClose={onClose}
    >
      <ol className="row small muted" aria-label="Steps">
        {STEPS.map((name, index) => (
          <li
            key={name}
            aria-current={index === step ? 'step' : undefined}
            style={{ fontWeight: index === step ? 600 : 400, marginRight: 16 }}
          >
            {name}
          </li>
        ))}
      </ol>
      {step === 0 && <Permissions chosen={chosen} onChange={setChosen} />}
      {step === 1 && <PrincipalSearch chosen={principal} onChange={setPrincipal} />}
      {step === 2 && (
        <>
          <p>
            <strong>{principal.name || principal.id}</strong> gets these key permissions: {keys.join(', ')}.
          </p>
          <Button size="small" onClick={() => setStep(0)}>
            Back to the permissions
          </Button>
        </>
      )}
    </Confirm>
  )
}

function Permissions({
  chosen,
  onChange,
}: {
  chosen: ReadonlySet<string>
  onChange: (next: ReadonlySet<string>) => void
}) {
  const set = (name: string, isOn: boolean): void => {
    const next = new Set(chosen)
    if (isOn) next.add(name.toLowerCase())
    else next.delete(name.toLowerCase())
    onChange(next)
  }
  return (
    <>
      <div className="row">
        <Button size="small" onClick={() => onChange(new Set(['get', 'wrapkey', 'unwrapkey']))}>
          Template: customer-managed key
        </Button>
        <Button size="small" onClick={() => onChange(new Set(Object.keys(GROUPS['Key Management Operations'] ?? {})))}>
          Template: key management
        </Button>
      </div>
      <h3 className="section">Key permissions</h3>
      {Object.entries(GROUPS).map(([group, names]) => (
        <fieldset key={group} style={{ border: 0, padding: 0, margin: 0 }}>
          <legend className="small muted">{group}</legend>
          <div className="permissions">
            {Object.entries(names).map(([name, label]) => (
              <Checkbox
                key={name}
                label={label}
                checked={chosen.has(name.toLowerCase())}
                onChange={(_, { checked }) => set(name, checked === true)}
              />
            ))}
          </div>
        </fieldset>
      ))}
    </>
  )
}

function PrincipalSearch(props: {
  readonly chosen: { id: string; name: string }
  readonly onChange: (next: { id: string; name: string }) => void
}) {
  const [text, setText] = useState('')
  const found = useQuery({ queryKey: ['principals', text], queryFn: () => searchPrincipals(text) })
  return (
    <>
      <Field label="Search by name, object ID or application ID">
        <Input value={text} onChange={(_, { value }) => setText(value)} autoFocus />
      </Field>
      <RadioGroup
        aria-label="Principals"
        value={props.chosen.id}
        onChange={(_, { value }) =>
          props.onChange({ id: value, name: found.data?.find(({ id }) => id === value)?.displayName ?? value })
        }
      >
        {(found.data ?? []).slice(0, 20).map(({ id, displayName, kind }) => (
          <Radio key={id} value={id} label={`${displayName} (${kind}, ${id})`} />
        ))}
      </RadioGroup>
      {found.data?.length === 0 && <p className="muted">Nobody found.</p>}
    </>
  )
}

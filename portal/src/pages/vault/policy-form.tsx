import { useState } from 'react'
import { arm, VERSIONS, type AccessPolicy, type Vault } from '../../api/arm.ts'
import { config } from '../../api/config.ts'
import { useRefresh } from '../../api/hooks.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Facts } from '../../parts/facts.tsx'
import { KEY_PERMISSIONS, permissionLabel, Permissions } from './permissions.tsx'
import { PrincipalSearch } from './principal-search.tsx'

const STEPS = ['Permissions', 'Principal', 'Application (optional)', 'Review + create'] as const
const REVIEW = STEPS.length - 1

/** R14: permissions, then the principal by its name, then an application it must act through, then what will be written. */
export function PolicyForm(props: {
  readonly vault: Vault
  readonly policy: AccessPolicy | undefined
  readonly principalName: string
  readonly onClose: () => void
}) {
  const { vault, policy, principalName, onClose } = props
  const isNew = policy === undefined
  const [step, setStep] = useState(0)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(lower(policy?.permissions.keys ?? [])))
  const [principal, setPrincipal] = useState({ id: policy?.objectId ?? '', name: principalName })
  const [application, setApplication] = useState({ id: policy?.applicationId ?? '', name: '' })
  const refresh = useRefresh()
  const keys = [...KEY_PERMISSIONS, 'all'].filter(name => chosen.has(name.toLowerCase()))
  // With another principal it would be another policy, so this can't be changed.
  const steps = isNew ? [0, 1, 2, REVIEW] : [0, REVIEW]
  const at = steps.indexOf(step)
  const next = async (): Promise<boolean> => {
    if (step < REVIEW) {
      setStep(steps[at + 1] ?? REVIEW)
      return false
    }
    const own: AccessPolicy = {
      tenantId: config().tenantId,
      objectId: principal.id,
      ...(application.id === '' ? {} : { applicationId: application.id }),
      permissions: { ...policy?.permissions, keys },
    }
    await arm(`${vault.id}/accessPolicies/${isNew ? 'add' : 'replace'}`, VERSIONS.vaults, {
      method: 'PUT',
      body: { properties: { accessPolicies: [own] } },
    })
    await refresh()
    return true
  }
  return (
    <Confirm
      title={isNew ? 'Create an access policy' : 'Edit an access policy'}
      action={step === REVIEW ? (isNew ? 'Create' : 'Save') : 'Next'}
      disabled={(step === 0 && keys.length === 0) || (step === 1 && principal.id === '')}
      onBack={at > 0 ? () => setStep(steps[at - 1] ?? 0) : undefined}
      onConfirm={next}
      onClose={onClose}
    >
      <ol className="steps small" aria-label="Steps">
        {steps.map(index => (
          <li key={STEPS[index]} aria-current={index === step ? 'step' : undefined}>
            {isNew || index < REVIEW ? STEPS[index] : 'Review + save'}
          </li>
        ))}
      </ol>
      {step === 0 && <Permissions chosen={chosen} onChange={setChosen} />}
      {step === 1 && <PrincipalSearch key="principal" chosen={principal} onChange={setPrincipal} />}
      {step === 2 && (
        <>
          <p className="muted">
            Only where a user may use the keys through one application and no other. A customer-managed key needs none:
            go on with Next.
          </p>
          <PrincipalSearch key="application" applications chosen={application} onChange={setApplication} />
        </>
      )}
      {step === REVIEW && (
        <Facts
          facts={{
            Principal: principal.name || principal.id,
            'Object ID': <span className="mono">{principal.id}</span>,
            Application: application.id === '' ? 'None' : application.name || application.id,
            'Key permissions': keys.map(permissionLabel).join(', '),
          }}
        />
      )}
    </Confirm>
  )
}

const lower = (names: readonly string[]): string[] => names.map(name => name.toLowerCase())

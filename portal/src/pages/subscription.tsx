import { Button, Field, Input } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Link, useParams } from 'wouter'
import { arm, VERSIONS, type Subscription } from '../api/arm.ts'
import { useAction } from '../parts/action.ts'
import { Copyable, Facts } from '../parts/facts.tsx'
import { Rows } from '../parts/rows.tsx'
import { Failure, Loaded } from '../parts/states.tsx'

interface Finding {
  readonly code: string
  readonly target: string
  readonly message: string
  readonly remedy: string
}

/** A subscription, and what a move of it to another directory would break (R32). */
export function SubscriptionPage() {
  const { subscription: id = '' } = useParams()
  const found = useQuery({
    queryKey: ['subscription', id],
    queryFn: () => arm<Subscription>(`/subscriptions/${id}`, VERSIONS.subscriptions),
  })
  useEffect(() => {
    document.title = 'Subscription - OwnKey'
  }, [])
  return (
    <main className="home" id="content" tabIndex={-1}>
      <nav className="crumbs flat" aria-label="Breadcrumb">
        <Link href="/">Home</Link>
      </nav>
      <h1>Subscription</h1>
      <Loaded query={found} what="the subscription">
        {({ displayName, subscriptionId, tenantId, state }) => (
          <>
            <Facts
              facts={{
                Name: displayName,
                Status: state,
                'Subscription ID': <Copyable value={subscriptionId} label="the subscription id" />,
                'Directory ID': <Copyable value={tenantId} label="the directory id" />,
              }}
            />
            <ChangeOfDirectory subscriptionId={subscriptionId} />
          </>
        )}
      </Loaded>
    </main>
  )
}

/** Asks before a move, and changes nothing. Managed identities do not move along, so customer-managed keys stop. */
function ChangeOfDirectory({ subscriptionId }: { subscriptionId: string }) {
  const [tenant, setTenant] = useState('')
  const [findings, setFindings] = useState<readonly Finding[]>()
  const asking = useAction()
  const ask = (): Promise<boolean> =>
    asking.run(async () => {
      setFindings(undefined)
      const path = `/subscriptions/${subscriptionId}/providers/Microsoft.Subscription/validateChangeTenant`
      const body = { properties: { destinationTenantId: tenant.trim() } }
      setFindings((await arm<{ findings: Finding[] }>(path, VERSIONS.subscriptions, { method: 'POST', body })).findings)
    })
  return (
    <>
      <h2 className="section">Before a change of directory</h2>
      <p className="muted">
        Managed identities stay behind in the directory that a subscription leaves, so customer-managed keys stop
        working. This says what would break and how to fix it. It changes nothing.
      </p>
      <form
        className="row spaced"
        onSubmit={event => {
          event.preventDefault()
          void ask()
        }}
      >
        <Field label="Directory ID to move to" className="grow">
          <Input value={tenant} onChange={(_, { value }) => setTenant(value)} spellCheck={false} />
        </Field>
        <Button type="submit" disabled={asking.busy || tenant.trim() === ''}>
          {asking.busy ? 'Checking…' : 'Check'}
        </Button>
      </form>
      {asking.error !== undefined && <Failure error={asking.error} />}
      {findings !== undefined && (
        <Rows
          label="What the change would break"
          rows={findings}
          keyOf={({ code, target }) => `${code} ${target}`}
          empty="Nothing here depends on the present directory."
          columns={[
            { name: 'What', cell: ({ code }) => <span className="nowrap">{code}</span> },
            { name: 'Resource', cell: ({ target }) => target.split('/').slice(-2).join(' ') },
            {
              name: 'Consequence and remedy',
              cell: ({ message, remedy }) => (
                <>
                  {message} <span className="muted">{remedy}</span>
                </>
              ),
            },
          ]}
        />
      )}
    </>
  )
}

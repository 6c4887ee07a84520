import { Field, Input, Radio, RadioGroup, Spinner } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { searchPrincipals, type Principal } from '../../api/graph.ts'
import { Failure } from '../../parts/states.tsx'

const MAX_SHOWN = 20

export interface Chosen {
  /** Object id of a principal, application id of an application; empty: none. */
  readonly id: string
  readonly name: string
}

/** Search by name, then choose one. `applications`: only applications, by application id; choosing none is possible. */
export function PrincipalSearch(props: {
  readonly chosen: Chosen
  readonly applications?: boolean
  readonly onChange: (next: Chosen) => void
}) {
  const { chosen, applications = false, onChange } = props
  const [text, setText] = useState('')
  const found = useQuery({ queryKey: ['principals', text], queryFn: () => searchPrincipals(text) })
  const idOf = ({ id, appId }: Principal): string => (applications ? (appId ?? '') : id)
  const fitting = (found.data ?? []).filter(({ kind }) => !applications || kind === 'application')
  const isElsewhere = chosen.id !== '' && !fitting.slice(0, MAX_SHOWN).some(one => idOf(one) === chosen.id)
  return (
    <>
      <Field label="Search by name, object ID or application ID">
        <Input value={text} onChange={(_, { value }) => setText(value)} autoFocus />
      </Field>
      {found.error !== null && <Failure error={found.error} onRetry={() => void found.refetch()} />}
      {found.isLoading && <Spinner size="tiny" label="Searching…" />}
      <RadioGroup
        aria-label={applications ? 'Applications' : 'Principals'}
        value={chosen.id}
        onChange={(_, { value }) =>
          onChange({ id: value, name: fitting.find(one => idOf(one) === value)?.displayName ?? value })
        }
      >
        {applications && <Radio value="" label="None" />}
        {isElsewhere && <Radio value={chosen.id} label={`${chosen.name || chosen.id} (chosen)`} />}
        {fitting.slice(0, MAX_SHOWN).map(one => (
          <Radio
            key={one.id}
            value={idOf(one)}
            label={
              <>
                {one.displayName}{' '}
                <span className="small muted">
                  ({one.kind}, {idOf(one)})
                </span>
              </>
            }
          />
        ))}
      </RadioGroup>
      {found.data !== undefined && fitting.length === 0 && (
        <p className="muted">Nobody found. Search for another name.</p>
      )}
      {fitting.length > MAX_SHOWN && (
        <p className="small muted">
          The first {MAX_SHOWN} of {fitting.length}. Type more of the name.
        </p>
      )}
    </>
  )
}

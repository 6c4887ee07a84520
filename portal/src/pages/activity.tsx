import { Field, Input, Switch } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { config } from '../api/config.ts'
import { call } from '../api/http.ts'
import { time } from '../parts/facts.tsx'
import { Rows } from '../parts/rows.tsx'
import { Loaded } from '../parts/states.tsx'

interface AuditEntry {
  readonly time: string
  readonly operationName: string
  readonly resourceId?: string
  readonly resultType: string
  readonly resultSignature?: string
  readonly resultDescription?: string
  readonly callerIpAddress?: string
  readonly identity?: { readonly claim?: Readonly<Record<string, string>> }
  readonly properties?: Readonly<Record<string, unknown>>
}

interface AuditPage {
  readonly records: readonly { readonly sequence: number; readonly entry: AuditEntry }[]
  readonly names: Readonly<Record<string, string>>
}

/** The audit log of one resource, newest first. Only the administrator of the cloud may read it. */
export function Activity({ resourceId, vault }: { resourceId: string; vault?: string }) {
  const [following, setFollowing] = useState(true)
  const [filter, setFilter] = useState('')
  const log = useQuery({
    queryKey: ['audit', resourceId],
    queryFn: () =>
      call<AuditPage>(
        `${config().resourceManager}/ownkey/audit?newestFirst=true&limit=1000${vault === undefined ? '' : `&vault=${vault}`}`,
        { scope: 'management' },
      ),
    refetchInterval: following ? 2000 : false,
  })
  const wanted = filter.trim().toLowerCase()
  return (
    <>
      <div className="row">
        <Field label="Filter" className="grow">
          <Input value={filter} onChange={(_, { value }) => setFilter(value)} placeholder="Operation, caller, result" />
        </Field>
        <Switch checked={following} onChange={(_, { checked }) => setFollowing(checked)} label="Follow" />
      </div>
      <Loaded query={log} what="the audit log">
        {({ records, names }) => (
          <Rows
            label="Audit log"
            rows={records
              .filter(({ entry }) => (entry.resourceId ?? '').startsWith(resourceId.toUpperCase()))
              .map(record => ({ ...record, who: whoOf(record.entry, names) }))
              .filter(({ entry, who }) =>
                `${entry.operationName} ${who} ${entry.resultSignature} ${entry.resultDescription}`
                  .toLowerCase()
                  .includes(wanted),
              )
              .slice(0, 200)}
            keyOf={({ sequence }) => String(sequence)}
            empty="Nothing was recorded here yet."
            columns={[
              { name: 'Time', cell: ({ entry }) => <span className="nowrap">{time(entry.time)}</span> },
              { name: 'Operation', cell: ({ entry }) => entry.operationName },
              {
                name: 'Result',
                cell: ({ entry }) => (
                  <span className={entry.resultType === 'Success' ? 'good' : 'bad'} title={entry.resultDescription}>
                    {entry.resultSignature ?? entry.resultType}
                  </span>
                ),
              },
              { name: 'Who', cell: ({ who }) => who },
              { name: 'From', cell: ({ entry }) => <span className="nowrap">{entry.callerIpAddress ?? '-'}</span> },
              { name: 'What', cell: ({ entry }) => <span className="small">{entry.resultDescription}</span> },
            ]}
          />
        )}
      </Loaded>
    </>
  )
}

function whoOf(entry: AuditEntry, names: Readonly<Record<string, string>>): string {
  const claim = entry.identity?.claim
  if (claim === undefined) return entry.callerIpAddress === 'service' ? 'the service' : '-'
  const id = claim['oid'] ?? claim['http://schemas.microsoft.com/identity/claims/objectidentifier'] ?? ''
  return names[id] ?? (id === '' ? (claim['authenticationType'] ?? 'API key') : id)
}

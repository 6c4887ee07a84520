import { Field, Input, Switch } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { AUDIT_LIMIT, auditOf, type AuditRecord } from '../api/audit.ts'
import { time } from '../parts/facts.tsx'
import { Rows } from '../parts/rows.tsx'
import { Loaded } from '../parts/states.tsx'
import { KeyUse } from './vault/key-use.tsx'

/** The audit log of one resource, newest first; for a vault with a time line of key use. */
export function Activity({ resourceId, vault }: { resourceId: string; vault?: string }) {
  const [following, setFollowing] = useState(true)
  const [filter, setFilter] = useState('')
  const log = useQuery({
    queryKey: ['audit', resourceId],
    queryFn: () => auditOf(resourceId, vault),
    refetchInterval: following ? 2000 : false,
  })
  return (
    <>
      <Loaded query={log} what="the audit log">
        {records => (
          <>
            {vault !== undefined && (
              <>
                <h2 className="section">Use of keys by caller</h2>
                <KeyUse records={records} />
                <h2 className="section">Records</h2>
              </>
            )}
            <div className="row filter">
              <Field label="Filter" className="grow">
                <Input
                  value={filter}
                  onChange={(_, { value }) => setFilter(value)}
                  placeholder="Operation, caller, result"
                />
              </Field>
              <Switch checked={following} onChange={(_, { checked }) => setFollowing(checked)} label="Follow" />
            </div>
            <Table records={records} filter={filter} />
          </>
        )}
      </Loaded>
    </>
  )
}

function Table({ records, filter }: { records: readonly AuditRecord[]; filter: string }) {
  const wanted = filter.trim().toLowerCase()
  const found = records.filter(({ entry, who }) =>
    [
      entry.operationName,
      who,
      entry.resultSignature,
      entry.resultDescription,
      entry.callerIpAddress,
      entry.correlationId,
    ]
      .join(' ')
      .toLowerCase()
      .includes(wanted),
  )
  return (
    <>
      <Rows
        label="Audit log"
        rows={found}
        keyOf={({ sequence }) => String(sequence)}
        empty={
          records.length === 0
            ? `Nothing is recorded about this among the newest ${AUDIT_LIMIT} records.`
            : 'No record holds these words. Change the filter.'
        }
        columns={[
          { name: 'Time', cell: ({ entry }) => <span className="nowrap">{time(entry.time)}</span> },
          { name: 'Operation', cell: ({ entry }) => <span className="operation">{entry.operationName}</span> },
          {
            name: 'Result',
            cell: ({ entry }) => (
              <>
                <span className={entry.resultType === 'Success' ? 'good' : 'bad'}>
                  {entry.resultSignature ?? entry.resultType}
                </span>
                {entry.resultDescription !== undefined && entry.resultDescription !== '' && (
                  <div className="small muted">{entry.resultDescription}</div>
                )}
              </>
            ),
          },
          { name: 'Who', cell: ({ who }) => who },
          { name: 'From', cell: ({ entry }) => <span className="nowrap">{entry.callerIpAddress ?? '-'}</span> },
        ]}
      />
      <p className="small muted">
        Among the newest {AUDIT_LIMIT} records of the cloud. For all: <code>./ownkey audit</code>
      </p>
    </>
  )
}

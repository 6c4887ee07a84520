import { Button, Field, Input, MessageBar, MessageBarBody, ProgressBar } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { arm, VERSIONS, type Account } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { ApiError } from '../../api/http.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { bytes, time } from '../../parts/facts.tsx'
import { Failure } from '../../parts/states.tsx'

interface ReEncryption {
  readonly status: 'InProgress' | 'Succeeded' | 'Failed'
  readonly percentComplete: number
  readonly startTime: string
  readonly endTime?: string
  readonly properties: {
    readonly generation: number
    readonly blobs: { readonly total: number; readonly done: number }
    readonly bytes: { readonly total: number; readonly done: number }
    readonly waitingFor?: string
    readonly failed: readonly { readonly blobId: string; readonly message: string }[]
  }
  readonly error?: { readonly code: string; readonly message: string }
}

/** A 404 means that it was never re-encrypted. */
async function lastOf(account: Account): Promise<ReEncryption | null> {
  return arm<ReEncryption>(`${account.id}/reEncryption`, VERSIONS.accounts).catch((error: unknown) => {
    if (error instanceof ApiError && error.code === 'ReEncryptionNotFound') return null
    throw error
  })
}

/** Beyond the article: seals everything anew under a new data key, for use after a compromise of the present one. */
export function ReEncrypt({ account }: { account: Account }) {
  const last = useQuery({
    queryKey: ['re-encryption', account.id],
    queryFn: () => lastOf(account),
    refetchInterval: ({ state }) => (state.data?.status === 'InProgress' ? 1000 : false),
  })
  const refresh = useRefresh()
  const endTime = last.data?.endTime
  // The account's count of blobs under earlier data keys has changed.
  useEffect(() => {
    if (endTime !== undefined) void refresh('resource')
  }, [endTime, refresh])
  const [asking, setAsking] = useState(false)
  const [speed, setSpeed] = useState('')
  const start = async (): Promise<void> => {
    const body = speed === '' ? {} : { mebibytesPerSecond: Number(speed) }
    await arm(`${account.id}/reEncrypt`, VERSIONS.accounts, { method: 'POST', body })
    await last.refetch()
  }
  return (
    <section aria-label="Re-encryption">
      <h2 className="section">Re-encryption</h2>
      <p className="muted">
        Rotating a key never touches the data. To move what was stored before the present key, or if a data key itself
        may be known to somebody, re-encrypt: a new data key is made, everything is sealed anew under it while the
        resource is used, and the former ones are destroyed.
      </p>
      {last.error !== null && <Failure error={last.error} onRetry={() => void last.refetch()} />}
      {last.data && <Progress state={last.data} />}
      <Button disabled={last.data?.status === 'InProgress'} onClick={() => setAsking(true)}>
        Re-encrypt
      </Button>
      {asking && (
        <Confirm
          title={`Re-encrypt the data of ${account.name}?`}
          action="Re-encrypt"
          onConfirm={start}
          onClose={() => setAsking(false)}
        >
          <p>
            Everything stored is read and written once. It can&rsquo;t be stopped, goes on after a restart, and ends
            with the former data keys destroyed: copies of the data made before can then never be opened again.
          </p>
          <Field label="At most, in MiB a second" hint="Empty: as fast as it goes.">
            <Input type="number" min={0.1} step={0.1} value={speed} onChange={(_, { value }) => setSpeed(value)} />
          </Field>
        </Confirm>
      )}
    </section>
  )
}

function Progress({ state }: { state: ReEncryption }) {
  const { status, percentComplete, startTime, endTime, error } = state
  const { generation, blobs, bytes: size, waitingFor, failed } = state.properties
  if (status === 'Failed')
    return (
      <MessageBar intent="error" layout="multiline" className="spaced">
        <MessageBarBody>
          {error?.message ?? 'It failed.'}
          <ul>
            {failed.slice(0, 10).map(({ blobId, message }) => (
              <li key={blobId}>
                <span className="mono">{blobId}</span>: {message}
              </li>
            ))}
          </ul>
        </MessageBarBody>
      </MessageBar>
    )
  if (status === 'Succeeded')
    return (
      <MessageBar intent="success" layout="multiline" className="spaced">
        <MessageBarBody>
          Done on {time(endTime)}: {blobs.done} {blobs.done === 1 ? 'blob' : 'blobs'} ({bytes(size.done)}) are under
          data key generation {generation}, and the former data keys are destroyed.
        </MessageBarBody>
      </MessageBar>
    )
  return (
    <Field
      className="spaced"
      label={`Re-encrypting since ${time(startTime)}`}
      validationState={waitingFor === undefined ? 'none' : 'warning'}
      validationMessage={`${percentComplete} %: ${blobs.done} of ${blobs.total} blobs, ${bytes(size.done)} of ${bytes(size.total)}${waitingFor === undefined ? '' : `. It waits: ${waitingFor}`}`}
    >
      <ProgressBar value={percentComplete / 100} />
    </Field>
  )
}

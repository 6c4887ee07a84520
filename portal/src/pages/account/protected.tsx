import { Badge, Button, Checkbox } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, armList, VERSIONS, type Account } from '../../api/arm.ts'
import { useRefresh } from '../../api/hooks.ts'
import { bytes, time } from '../../parts/facts.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'

interface Blob {
  readonly blobId: string
  readonly kind: string
  readonly size: number
  readonly createdAt: string
  readonly generation: number
  readonly protectedBy: string
  readonly revocable: boolean
}

interface Proof {
  readonly blobId: string
  readonly outcome: 'Opened' | 'KeyUnavailable' | 'Corrupted'
  readonly message?: string
}

const COLOURS = { Opened: 'success', KeyUnavailable: 'warning', Corrupted: 'danger' } as const

/** Each sealed blob with its key, what a revocation would cut off now, and a fresh proof. */
export function Protected({ account }: { account: Account }) {
  const blobs = useQuery({
    queryKey: ['protected', account.id],
    queryFn: () => armList<Blob>(`${account.id}/protectedData`, VERSIONS.accounts),
  })
  const [proofs, setProofs] = useState<ReadonlyMap<string, Proof>>()
  const [onlyRevocable, setOnlyRevocable] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const refresh = useRefresh()
  const prove = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    try {
      setProofs(new Map((await proveAll(account)).map(proof => [proof.blobId, proof])))
      await refresh()
    } catch (failed) {
      setError(failed)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      <div className="commands">
        <Button appearance="primary" disabled={busy} onClick={() => void prove()}>
          {busy ? 'Opening every blob…' : 'Prove'}
        </Button>
        <Button appearance="subtle" onClick={() => void refresh()}>
          Refresh
        </Button>
      </div>
      <p className="muted">
        Prove asks the vault anew and opens each blob with what it answers. The service reads them; nothing is shown.
      </p>
      {error !== undefined && <Failure error={error} />}
      <Loaded query={blobs} what="sealed data">
        {found => (
          <>
            <p>
              <strong>{found.length}</strong> sealed {found.length === 1 ? 'blob' : 'blobs'}. A revocation would cut off{' '}
              <strong>{found.filter(({ revocable }) => revocable).length}</strong> of them now;{' '}
              {serving(found.filter(({ kind }) => kind === 'deployment').length)}
            </p>
            <Checkbox
              checked={onlyRevocable}
              onChange={(_, { checked }) => setOnlyRevocable(checked === true)}
              label="Only what a revocation would cut off"
            />
            <Rows
              label="Sealed blobs"
              rows={found.filter(({ revocable }) => revocable || !onlyRevocable)}
              keyOf={({ blobId }) => blobId}
              empty="Nothing is stored here."
              columns={[
                { name: 'Kind', cell: ({ kind }) => <span className="nowrap">{kind}</span> },
                { name: 'Size', cell: ({ size }) => <span className="nowrap">{bytes(size)}</span> },
                { name: 'Created', cell: ({ createdAt }) => <span className="nowrap">{time(createdAt)}</span> },
                { name: 'Generation', cell: ({ generation }) => (generation === 0 ? '-' : generation) },
                {
                  name: 'Key',
                  cell: ({ protectedBy }) => (
                    <span className="mono wrap">{protectedBy === 'service' ? 'of this service' : protectedBy}</span>
                  ),
                },
                { name: 'Proof', cell: ({ blobId }) => <Outcome proof={proofs?.get(blobId)} /> },
              ]}
            />
          </>
        )}
      </Loaded>
    </>
  )
}

const serving = (count: number): string =>
  count === 1 ? '1 serves a deployment and stays open.' : `${count} serve deployments and stay open.`

function Outcome({ proof }: { proof: Proof | undefined }) {
  if (proof === undefined) return <>-</>
  return (
    <Badge color={COLOURS[proof.outcome]} title={proof.message}>
      {proof.outcome}
    </Badge>
  )
}

async function proveAll(account: Account): Promise<Proof[]> {
  const all: Proof[] = []
  for (let after: string | undefined | null = null; after !== undefined;) {
    const body = after === null ? {} : { after }
    const page: { proofs: Proof[]; next?: string } = await arm(`${account.id}/proveProtection`, VERSIONS.accounts, {
      method: 'POST',
      body,
    })
    all.push(...page.proofs)
    after = page.next
  }
  return all
}

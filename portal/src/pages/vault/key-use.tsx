import type { AuditRecord } from '../../api/audit.ts'
import { time } from '../../parts/facts.tsx'

const BUCKETS = 60
const MAX_LANES = 8
const KINDS = ['wrap', 'unwrap', 'refused'] as const
const WORDS = { wrap: 'wrapped', unwrap: 'unwrapped', refused: 'refused' } as const

type Kind = (typeof KINDS)[number]
type Counts = Readonly<Record<Kind, number>>

interface Use {
  readonly who: string
  readonly at: number
  readonly kind: Kind
}

interface Lane {
  readonly who: string
  readonly total: Counts
  readonly buckets: readonly Counts[]
}

/** R05: who wrapped and unwrapped with keys of this vault, and when; refusals stand out. */
export function KeyUse({ records }: { records: readonly AuditRecord[] }) {
  const uses = records.flatMap(useOf)
  const [first, last] = [Math.min(...uses.map(({ at }) => at)), Math.max(...uses.map(({ at }) => at))]
  if (uses.length === 0) return <p className="muted">No key of this vault has wrapped or unwrapped anything yet.</p>
  const lanes = lanesOf(uses, first, Math.max(last - first, 1))
  const most = Math.max(...lanes.flatMap(({ buckets }) => buckets.map(sum)))
  return (
    <figure className="key-use" aria-label="Wrap and unwrap by caller">
      {lanes.slice(0, MAX_LANES).map(lane => (
        <LaneRow key={lane.who} lane={lane} most={most} />
      ))}
      <div className="lane">
        <span />
        <span className="ends small muted">
          <span>{time(first)}</span>
          <span>{time(last)}</span>
        </span>
      </div>
      <figcaption className="small muted">
        {KINDS.map(kind => (
          <span key={kind} className={`legend ${kind}`}>
            {WORDS[kind]}
          </span>
        ))}
        {lanes.length > MAX_LANES && <span>and {lanes.length - MAX_LANES} more callers in the table</span>}
      </figcaption>
    </figure>
  )
}

function LaneRow({ lane: { who, total, buckets }, most }: { lane: Lane; most: number }) {
  const said = KINDS.filter(kind => kind !== 'refused' || total.refused > 0).map(
    kind => `${total[kind]} ${WORDS[kind]}`,
  )
  return (
    <div className="lane">
      <span>
        <strong>{who}</strong>
        <span className="small muted">{said.join(', ')}</span>
      </span>
      <svg
        viewBox={`0 0 ${BUCKETS} 100`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${who}: ${said.join(', ')}`}
      >
        {buckets.map((bucket, index) => (
          // A bucket is identified by its position in time.
          // oxlint-disable-next-line react/no-array-index-key
          <Bar key={index} x={index} bucket={bucket} scale={100 / most} />
        ))}
      </svg>
    </div>
  )
}

function Bar({ x, bucket, scale }: { x: number; bucket: Counts; scale: number }) {
  let top = 100
  return KINDS.filter(kind => bucket[kind] > 0).map(kind => {
    top -= bucket[kind] * scale
    return <rect key={kind} className={kind} x={x + 0.1} width={0.8} y={top} height={bucket[kind] * scale} />
  })
}

function useOf({ who, entry }: AuditRecord): Use[] {
  const kind = { KeyWrap: 'wrap', KeyUnwrap: 'unwrap' }[entry.operationName] as Kind | undefined
  if (kind === undefined) return []
  return [{ who, at: Date.parse(entry.time), kind: entry.resultType === 'Success' ? kind : 'refused' }]
}

function lanesOf(uses: readonly Use[], first: number, span: number): Lane[] {
  const lanes = [...Map.groupBy(uses, ({ who }) => who)].map(([who, own]) => {
    const places = Map.groupBy(own, ({ at }) => Math.min(BUCKETS - 1, Math.floor(((at - first) / span) * BUCKETS)))
    return {
      who,
      total: counted(own),
      buckets: Array.from({ length: BUCKETS }, (_, n) => counted(places.get(n) ?? [])),
    }
  })
  return lanes.toSorted((a, b) => sum(b.total) - sum(a.total))
}

function counted(uses: readonly Use[]): Counts {
  const count = (wanted: Kind): number => uses.filter(({ kind }) => kind === wanted).length
  return { wrap: count('wrap'), unwrap: count('unwrap'), refused: count('refused') }
}

const sum = ({ wrap, unwrap, refused }: Counts): number => wrap + unwrap + refused

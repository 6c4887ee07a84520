import type { NewAuditEntry } from '../store/audit-entry.ts'

export interface RefusalLimits {
  /** Refusals of one resource that are recorded one by one before they are counted. */
  readonly burst: number
  /** How many more, one by one, each minute. */
  readonly perMinute: number
  /** The same for the whole cloud. */
  readonly totalBurst: number
  readonly totalPerMinute: number
}

/** Resources with a count of their own; all others share one count. */
const MAX_COUNTED = 100
const MAX_BUCKETS = 1000
const MAX_ADDRESSES = 20

const DEFAULTS: RefusalLimits = { burst: 60, perMinute: 6, totalBurst: 600, totalPerMinute: 60 }

interface Bucket {
  tokens: number
  filledAt: number
}

interface Counted {
  readonly first: NewAuditEntry
  last: string
  count: number
  readonly addresses: Set<string>
}

/**
 * Somebody without a valid token could fill the disk with records of their refusals. So each resource has a bucket for these.
 * Those that overflow are counted, and one record a minute says how many there were and from where.
 */
export class RefusalLimit {
  readonly #limits: RefusalLimits
  /** Milliseconds of a monotonic clock. */
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()
  readonly #total: Bucket
  readonly #counted = new Map<string, Counted>()

  constructor(limits: RefusalLimits = DEFAULTS, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
    this.#total = { tokens: limits.totalBurst, filledAt: now() }
  }

  /** True: record it now. False: it was counted, and `takeCounted` will return it. */
  admits(entry: NewAuditEntry & { readonly time: string }): boolean {
    const name = entry.resourceId ?? ''
    const { burst, perMinute, totalBurst, totalPerMinute } = this.#limits
    const bucket = this.#bucketOf(name)
    this.#fill(bucket, burst, perMinute)
    this.#fill(this.#total, totalBurst, totalPerMinute)
    if (bucket.tokens >= 1 && this.#total.tokens >= 1) {
      bucket.tokens -= 1
      this.#total.tokens -= 1
      return true
    }
    this.#count(this.#counted.has(name) || this.#counted.size < MAX_COUNTED ? name : '', entry)
    return false
  }

  /** One record for each resource whose refusals were counted since the last time. */
  takeCounted(): NewAuditEntry[] {
    const taken = [...this.#counted.values()]
    this.#counted.clear()
    return taken.map(({ first, last, count, addresses }) => ({
      ...first,
      time: last,
      callerIpAddress: addresses.size === 1 ? (first.callerIpAddress ?? '') : 'several',
      resultDescription: `${count} more requests were refused; they came too fast to be recorded one by one.`,
      properties: {
        ...first.properties,
        aggregatedCount: count,
        firstTime: first.time,
        lastTime: last,
        callerIpAddresses: [...addresses],
      },
    }))
  }

  #bucketOf(name: string): Bucket {
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    // The oldest goes first. At worst a resource gets a full bucket again, and the bucket of the whole cloud still holds.
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size >= MAX_BUCKETS && oldest !== undefined) this.#buckets.delete(oldest)
    const bucket = { tokens: this.#limits.burst, filledAt: this.#now() }
    this.#buckets.set(name, bucket)
    return bucket
  }

  #fill(bucket: Bucket, most: number, perMinute: number): void {
    const now = this.#now()
    bucket.tokens = Math.min(most, bucket.tokens + ((now - bucket.filledAt) / 60_000) * perMinute)
    bucket.filledAt = now
  }

  #count(name: string, entry: NewAuditEntry & { readonly time: string }): void {
    const known = this.#counted.get(name)
    const counted = known ?? { first: entry, last: entry.time, count: 0, addresses: new Set<string>() }
    if (known === undefined) this.#counted.set(name, counted)
    counted.count += 1
    counted.last = entry.time
    if (counted.addresses.size < MAX_ADDRESSES) counted.addresses.add(entry.callerIpAddress ?? '')
  }
}

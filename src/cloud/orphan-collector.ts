import { eachForItself } from '../base/each-for-itself.ts'
import { referencedBlobs } from '../encryption/start-up.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { Quarantine } from '../store/quarantine.ts'
import type { RecordStore } from '../store/records.ts'

const DAY_MS = 24 * 3_600_000
/** How long a blob must have been without a record, which is longer than any upload takes. Milliseconds. */
const GRACE_MS = DAY_MS
/** Days for which a blob without a record is kept in the quarantine, here and at a start. */
export const QUARANTINE_DAYS = 7

export interface OrphanCollectorOptions {
  readonly records: RecordStore
  readonly blobs: Pick<BlobStore, 'list'>
  readonly quarantine: Pick<Quarantine, 'take' | 'list' | 'delete'>
  readonly audit: AuditSink
  readonly log: (line: object) => void
  /** Monotonic milliseconds, so that setting the clock does not make anything old. */
  readonly monotonic?: () => number
  /** Milliseconds since 1970, for the date in the quarantine. */
  readonly now?: () => number
}

/**
 * Sets blobs without a record aside while services run, and deletes them a week later. Once a process has seen a blob without a record for
 * a day, the blob is older than every upload under way. It needs no cooperation of the writers, so it is right for several processes too
 * (ADR 0029).
 */
export class OrphanCollector {
  readonly #options: OrphanCollectorOptions
  readonly #monotonic: () => number
  /** Since when each was seen without a record. */
  readonly #since = new Map<string, number>()
  /** Since when each was seen in the quarantine, by `<day>/<id>`. */
  readonly #setAside = new Map<string, number>()
  /** Done, and still to be recorded: the disk may have had no room for that. */
  readonly #untold = { quarantined: 0, deleted: 0 }

  constructor(options: OrphanCollectorOptions) {
    this.#options = options
    this.#monotonic = options.monotonic ?? (() => performance.now())
  }

  /** @throws the failures, when everything else is done */
  async run(): Promise<void> {
    const { records, blobs, quarantine } = this.#options
    // In this order, so that blobs that are stored in between are not looked at yet.
    const present = await Array.fromAsync(blobs.list())
    const setAside = await quarantine.list()
    const referenced = await referencedBlobs(records)
    // A record that can't be read may name any of the blobs.
    if (referenced === undefined) return
    const isOrphan = (id: string): boolean => !referenced.kept.has(id) && !referenced.going.has(id)
    const tasks = eachForItself()
    await tasks.attempt(() => this.#empty(setAside, isOrphan))
    await tasks.attempt(() => this.#collect(present.filter(isOrphan)))
    await tasks.attempt(() => this.#tell())
    tasks.end()
  }

  async #collect(orphans: readonly string[]): Promise<void> {
    const { quarantine, now = Date.now } = this.#options
    const day = new Date(now()).toISOString().slice(0, 10)
    const tasks = eachForItself()
    for (const id of this.#longSeen(this.#since, orphans, GRACE_MS))
      await tasks.attempt(async () => {
        await quarantine.take(id, day)
        this.#since.delete(id)
        this.#untold.quarantined += 1
      })
    tasks.end()
  }

  /** A start does the same by the dates; a service may run for years. */
  async #empty(setAside: ReadonlyMap<string, readonly string[]>, isOrphan: (id: string) => boolean): Promise<void> {
    const { quarantine } = this.#options
    const found = [...setAside].flatMap(([day, ids]) => ids.filter(isOrphan).map(id => `${day}/${id}`))
    const old = this.#longSeen(this.#setAside, found, QUARANTINE_DAYS * DAY_MS)
    const tasks = eachForItself()
    for (const [day, names] of Map.groupBy(old, name => name.slice(0, name.indexOf('/'))))
      await tasks.attempt(async () => {
        const ids = names.map(name => name.slice(day.length + 1))
        const { deleted, kept } = await quarantine.delete(day, ids)
        this.#untold.deleted += deleted
        if (kept.length > 0) throw kept[0]
      })
    tasks.end()
  }

  /** Those of `present` that have been there in every run for this long. */
  #longSeen(since: Map<string, number>, present: readonly string[], ms: number): string[] {
    const now = this.#monotonic()
    const known = new Set(present)
    for (const name of since.keys()) if (!known.has(name)) since.delete(name)
    for (const name of present) if (!since.has(name)) since.set(name, now)
    return present.filter(name => now - (since.get(name) ?? now) >= ms)
  }

  async #tell(): Promise<void> {
    const { quarantined, deleted } = this.#untold
    await this.#tellOf('quarantined', `Blobs that no record names were set aside in blobs/quarantine: ${quarantined}.`)
    await this.#tellOf('deleted', `Blobs that no record named for ${QUARANTINE_DAYS} days were deleted: ${deleted}.`)
  }

  async #tellOf(what: 'quarantined' | 'deleted', message: string): Promise<void> {
    const { audit, log } = this.#options
    const count = this.#untold[what]
    if (count === 0) return
    const entry = {
      operationName: `OwnKey/blobs/${what}`,
      category: 'AuditEvent',
      resultType: 'Success',
      resultDescription: message,
      callerIpAddress: 'service',
      properties: { count },
    } as const
    await audit.append(entry, [], { reserve: 'small' })
    this.#untold[what] = 0
    log({ level: 'warning', message })
  }
}

import { referencedBlobs } from '../encryption/start-up.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { Quarantine } from '../store/quarantine.ts'
import type { RecordStore } from '../store/records.ts'

/** How long a blob must have been without a record, which is longer than any upload takes. Milliseconds. */
const GRACE_MS = 24 * 3_600_000

export interface OrphanCollectorOptions {
  readonly records: RecordStore
  readonly blobs: Pick<BlobStore, 'list'>
  readonly quarantine: Pick<Quarantine, 'take'>
  readonly audit: AuditSink
  readonly log: (line: object) => void
  /** Monotonic milliseconds, so that setting the clock does not make anything old. */
  readonly monotonic?: () => number
  /** Milliseconds since 1970, for the date in the quarantine. */
  readonly now?: () => number
}

/**
 * Sets blobs without a record aside while services run. Once a process has seen a blob so for a day, the blob is older than every upload
 * under way. It needs no cooperation of the writers, so it is right for several processes too (ADR 0029).
 */
export class OrphanCollector {
  readonly #options: OrphanCollectorOptions
  /** Since when each was seen without a record. */
  readonly #since = new Map<string, number>()

  constructor(options: OrphanCollectorOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const { records, blobs, quarantine, monotonic = () => performance.now(), now = Date.now } = this.#options
    // In this order, so that blobs that are stored in between are not looked at yet.
    const present = await Array.fromAsync(blobs.list())
    const referenced = await referencedBlobs(records)
    // A record that can't be read may name any of the blobs.
    if (referenced === undefined) return
    const orphans = new Set(present.filter(id => !referenced.kept.has(id) && !referenced.going.has(id)))
    for (const id of this.#since.keys()) if (!orphans.has(id)) this.#since.delete(id)
    const day = new Date(now()).toISOString().slice(0, 10)
    let taken = 0
    for (const id of orphans) {
      const since = this.#since.get(id)
      if (since === undefined) this.#since.set(id, monotonic())
      else if (monotonic() - since >= GRACE_MS) {
        await quarantine.take(id, day)
        this.#since.delete(id)
        taken += 1
      }
    }
    if (taken > 0) await this.#tell(taken)
  }

  async #tell(count: number): Promise<void> {
    const { audit, log } = this.#options
    const message = `Blobs that no record names were set aside in blobs/quarantine: ${count}.`
    log({ level: 'warning', message })
    await audit.append({
      operationName: 'OwnKey/blobs/quarantined',
      category: 'AuditEvent',
      resultType: 'Success',
      resultDescription: message,
      callerIpAddress: 'service',
      properties: { count },
    })
  }
}

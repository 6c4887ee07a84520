import { referencedBlobs } from '../encryption/start-up.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { Quarantine } from '../store/quarantine.ts'
import type { RecordStore } from '../store/records.ts'

/** For so long a blob must have been seen without a record: longer than any upload takes. Milliseconds. */
const GRACE_MS = 24 * 3_600_000

export interface OrphanCollectorOptions {
  readonly records: RecordStore
  readonly blobs: Pick<BlobStore, 'list'>
  readonly quarantine: Pick<Quarantine, 'take'>
  readonly audit: AuditSink
  readonly log: (line: object) => void
  /** Monotonic milliseconds: a clock that is set makes nothing old. */
  readonly monotonic?: () => number
  /** Milliseconds since 1970, for the name of the day. */
  readonly now?: () => number
}

/**
 * Sets aside what no record names, while services run: a blob is older than every upload that may still be under way once one process has
 * seen it so for a day. Needs no word of whoever writes, so it is right for several processes too (ADR 0029).
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
    // In this order: what is stored in between is not looked at yet.
    const present = await Array.fromAsync(blobs.list())
    const referenced = await referencedBlobs(records)
    // A record that can't be read may name any of them.
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

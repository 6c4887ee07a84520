import { setTimeout as sleep } from 'node:timers/promises'
import { seldom } from '../base/seldom.ts'
import { blobRecords, blobsOfAccount, type BlobRecord } from '../encryption/blob-records.ts'
import { addGeneration, closeGenerations, retireGenerations } from '../encryption/data-key-generations.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { AzureError, Conflict, NotFound } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import type { Lease } from '../store/leases.ts'
import { leaveOut, put, storedAs, VersionConflict, type Change, type Stored } from '../store/records.ts'
import { leftNothing, StorageRefused } from '../store/storage-errors.ts'
import { accounts as storedAccounts, type Account } from './account.ts'
import { accountAudit, type AccountServices } from './accounts.ts'
import { pace, type Pace } from './pace.ts'
import { reEncryptions, type ReEncryption } from './re-encryption.ts'

/** Waits after a refusal of the vault, and after a fault of the service. Milliseconds. */
const RETRY_MS = 5000
/** With this many unreadable blobs the disk is broken, so it stops. */
const MAX_FAILED = 100
const MIN_QUIET_MS = 1000
const PAUSE_MS = 250
/** Milliseconds without a sign of life after which another process goes on. */
const LEASE_MS = 30_000
const OPERATION = 'Microsoft.CognitiveServices/accounts/reEncrypt'
/** The exact reason is for the operator, in the service's log. */
const STORAGE_FAILED =
  'The service could not read or write what it stores; it tries again. Its operator finds the reason in the log of the service.'

export interface ReEncryptionsOptions extends Pick<
  AccountServices,
  'records' | 'env' | 'leases' | 'audit' | 'keyRing' | 'keyLeaseMs'
> {
  readonly blobs: SealedBlobs
  /** Seals anew what other modules keep sealed in records. Resolves to their number. */
  readonly resealRecords: (accountId: string) => Promise<number>
  readonly log: (message: string, error?: unknown) => void
}

interface Plan {
  readonly state: ReEncryption
  readonly changes: readonly Change[]
  readonly run: () => void
}

/** Re-encrypts accounts in the background, one blob after another. It goes on after a stop or a crash. */
export class ReEncryptions {
  readonly #options: ReEncryptionsOptions
  readonly #running = new Map<string, Promise<void>>()
  /** Runs that were asked for while one was under way. */
  readonly #again = new Set<string>()
  readonly #isNews = seldom()
  readonly #closing = new AbortController()

  constructor(options: ReEncryptionsOptions) {
    this.#options = options
  }

  /** The account's latest re-encryption. @throws 404 ReEncryptionNotFound */
  async get(accountId: string): Promise<Stored<ReEncryption>> {
    const found = await this.#records.get(reEncryptions, accountId)
    if (found !== undefined) return found
    throw new NotFound('ReEncryptionNotFound', 'The data of this resource was never re-encrypted: POST to reEncrypt.')
  }

  /** Makes the new data key. Stored data follows in the background. @throws KeyUnavailable, 409 when one is under way */
  async start(account: Account, mebibytesPerSecond: number | undefined): Promise<ReEncryption> {
    const { audit, keyRing } = this.#options
    const { accountId } = account
    const before = await this.#records.get(reEncryptions, accountId)
    if (before?.value.status === 'InProgress') throw underWay()
    let plan: Plan | undefined
    await addGeneration(keyRing, accountId, async (generation, changes) => {
      plan = await this.plan(account, generation, mebibytesPerSecond)
      const entry = accountAudit(account, `${OPERATION}/action`, 'Begun', { generation, httpStatusCode: 202 })
      await audit.append(entry, [...changes, ...plan.changes]).catch((error: unknown) => {
        const isAnother = error instanceof VersionConflict && error.collection === reEncryptions.name
        throw isAnother ? underWay() : error
      })
    })
    plan?.run()
    return plan?.state as ReEncryption
  }

  /** A re-encryption to a generation that the caller's commit begins: commit `changes` with it, then call `run`. One under way moves on to it. */
  async plan(account: Account, generation: number, mebibytesPerSecond: number | undefined): Promise<Plan> {
    const { accountId } = account
    const before = await this.#records.get(reEncryptions, accountId)
    const state: ReEncryption = {
      accountId,
      status: 'InProgress',
      generation,
      startedAt: new Date(this.#options.env.now()).toISOString(),
      ...(mebibytesPerSecond === undefined ? {} : { mebibytesPerSecond }),
      ...(await this.#totals(accountId)),
      records: 0,
      failed: [],
    }
    const changes = [put(reEncryptions, accountId, state, before?.version ?? 0)]
    return { state, changes, run: () => this.#run(accountId) }
  }

  /** Goes on with those that a stop of the service broke off. */
  async resume(): Promise<void> {
    for await (const { id, value } of everyRecord(this.#records, reEncryptions, { onTampered: leaveOut }))
      if (value.status === 'InProgress') this.#run(id)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#running.values())
  }

  get #records(): ReEncryptionsOptions['records'] {
    return this.#options.records
  }

  #run(accountId: string): void {
    // One that is about to end may not see what begins now.
    if (this.#running.has(accountId)) return void this.#again.add(accountId)
    const run = this.#untilDone(accountId)
      .catch((error: unknown) => this.#options.log(`The re-encryption of the account ${accountId} stands still`, error))
      .finally(() => {
        this.#running.delete(accountId)
        if (this.#again.delete(accountId) && !this.#closing.signal.aborted) this.#run(accountId)
      })
    this.#running.set(accountId, run)
  }

  /** Runs under a lease. Where another process works on it, this one leaves it alone. */
  async #untilDone(accountId: string): Promise<void> {
    const lease = await this.#options.leases.claim(`re-encryption/${accountId}`, LEASE_MS)
    if (lease === undefined) return
    const signal = AbortSignal.any([this.#closing.signal, lease.signal])
    try {
      while (!signal.aborted && (await this.#attempt(accountId, { fence: lease.fence, signal })))
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
    } finally {
      await lease.release()
    }
  }

  /** One attempt. Whether there is more to do, after a while. */
  async #attempt(accountId: string, lease: Pick<Lease, 'fence' | 'signal'>): Promise<boolean> {
    try {
      const stored = await this.#records.get(reEncryptions, accountId)
      // A purge of the account removes it.
      if (stored?.value.status !== 'InProgress') return false
      await this.#pass(stored, lease)
    } catch (error) {
      if (lease.signal.aborted) return false
      await this.#failed(accountId, error)
      return true
    }
    return this.#attempt(accountId, lease)
  }

  /** Seals what is left, until nothing is left. Then it destroys the former data keys. */
  async #pass(stored: Stored<ReEncryption>, lease: Pick<Lease, 'fence' | 'signal'>): Promise<void> {
    const { signal } = lease
    const run = new Run(this.#options, stored, lease)
    const { accountId, generation } = stored.value
    const quietMs = Math.max(MIN_QUIET_MS, this.#options.keyLeaseMs)
    for (let quietSince = performance.now(); ;) {
      const began = performance.now()
      const found = (await run.blobs()) + (await run.records())
      // Something that is being sealed under the former data key is still to be committed.
      if (found > 0 || this.#options.blobs.isWriting(accountId, generation)) quietSince = performance.now()
      else if (began - quietSince >= quietMs) break
      // A long look through blobs that are done already leaves most of the time to others.
      const pauseMs = found > 0 ? PAUSE_MS : Math.max(PAUSE_MS, 4 * (performance.now() - began))
      await sleep(pauseMs, undefined, { signal })
    }
    // A commit may still be on its way to the disk. None comes after the close, so the next look is the last.
    await closeGenerations(this.#options.keyRing, accountId, generation)
    while ((await run.blobs()) + (await run.records()) > 0) signal.throwIfAborted()
    await run.end()
  }

  /** Never rejects, since nobody waits for a run. The next attempt looks at everything anew. */
  async #failed(accountId: string, error: unknown): Promise<void> {
    // Somebody changed it meanwhile, or its key is being changed, so it is looked at again.
    const passes = error instanceof VersionConflict || (error instanceof AzureError && error.status < 500)
    const isRefused = error instanceof KeyUnavailable
    const message = `The data of the account ${accountId} can't be re-encrypted`
    const tell = (fault: unknown): void => {
      if (this.#isNews(`${message} ${String(fault)}`)) this.#options.log(message, fault)
    }
    if (!passes && !isRefused) tell(error)
    if (passes && !isRefused) return
    await this.#wait(accountId, isRefused ? error.message : STORAGE_FAILED).catch((fault: unknown) => {
      if (!(fault instanceof VersionConflict)) tell(fault)
    })
  }

  /** The key may come back, or the disk may be fixed. Work that is done stays done. */
  async #wait(accountId: string, waitingFor: string): Promise<void> {
    const stored = await this.#records.get(reEncryptions, accountId)
    if (stored === undefined || stored.value.waitingFor === waitingFor) return
    await this.#records.commit([put(reEncryptions, accountId, { ...stored.value, waitingFor }, stored.version)])
  }

  async #totals(accountId: string): Promise<Pick<ReEncryption, 'blobs' | 'bytes'>> {
    let total = 0
    let bytes = 0
    for await (const { value } of blobsOfAccount(this.#records, accountId)) {
      if (value.generation === 0) continue
      total += 1
      bytes += value.size
    }
    return { blobs: { total, done: 0 }, bytes: { total: bytes, done: 0 } }
  }
}

/** One process's work on one re-encryption. The state is written with each blob. */
class Run {
  readonly #options: ReEncryptionsOptions
  readonly #fence: readonly Change[]
  readonly #signal: AbortSignal
  readonly #pace: Pace
  #stored: Stored<ReEncryption>

  constructor(options: ReEncryptionsOptions, stored: Stored<ReEncryption>, lease: Pick<Lease, 'fence' | 'signal'>) {
    const { fence, signal } = lease
    this.#options = options
    this.#stored = stored
    this.#fence = fence
    this.#signal = signal
    this.#pace = pace(stored.value.mebibytesPerSecond, signal)
  }

  async blobs(): Promise<number> {
    const { accountId, generation } = this.#stored.value
    let found = 0
    for await (const blob of blobsOfAccount(this.#records, accountId)) {
      this.#signal.throwIfAborted()
      if (this.#stored.value.failed.length >= MAX_FAILED) return 0
      const isOld = blob.value.generation > 0 && blob.value.generation < generation
      if (!isOld || this.#stored.value.failed.some(({ blobId }) => blobId === blob.value.blobId)) continue
      found += 1
      await this.#rewrite(blob)
    }
    return found
  }

  async records(): Promise<number> {
    const count = await this.#options.resealRecords(this.#stored.value.accountId)
    if (count > 0) await this.#write({ records: this.#stored.value.records + count })
    return count
  }

  /** Destroys the former data keys, unless a blob that does not open still needs its own. */
  async end(): Promise<void> {
    const { audit, env, keyRing } = this.#options
    const { accountId, generation, failed, blobs } = this.#stored.value
    const status = failed.length === 0 ? 'Succeeded' : 'Failed'
    const { waitingFor: _, ...rest } = this.#stored.value
    const state: ReEncryption = { ...rest, status, endedAt: new Date(env.now()).toISOString() }
    // Also for a soft-deleted account, since no data key is destroyed without a record.
    const account = (await this.#records.get(storedAccounts, accountId))?.value
    const commit = async (changes: Change[]): Promise<unknown> => {
      const written = [...this.#fence, put(reEncryptions, accountId, state, this.#stored.version), ...changes]
      // If the account was purged meanwhile, the state is gone and the commit fails.
      if (account === undefined) return this.#records.commit(written, { shred: true })
      const done = failed.length === 0 ? 'Done: the former data keys are destroyed' : 'Done but for what does not open'
      const entry = accountAudit(account, OPERATION, done, { generation, blobs: blobs.done, failed: failed.length })
      return audit.append({ ...entry, ...(failed.length === 0 ? {} : { resultType: 'Failed' as const }) }, written, {
        shred: true,
      })
    }
    await (failed.length === 0 ? retireGenerations(keyRing, accountId, generation, commit) : commit([]))
  }

  get #records(): ReEncryptionsOptions['records'] {
    return this.#options.records
  }

  async #rewrite(blob: Stored<BlobRecord>): Promise<void> {
    const { blobs, bytes, failed } = this.#stored.value
    let rewritten
    try {
      rewritten = await this.#options.blobs.rewrite(blob, source => this.#pace.through(source))
    } catch (error) {
      const isOurs = error instanceof KeyUnavailable || error instanceof StorageRefused
      if (!(error instanceof AzureError) || isOurs) throw error
      // If it was deleted while it was read, nothing is left to do. Otherwise it is damaged, and the others go on.
      if ((await this.#records.get(blobRecords, blob.id))?.version !== blob.version) return
      await this.#write({ failed: [...failed, { blobId: blob.value.blobId, message: error.message }] })
      return
    }
    try {
      const done = {
        blobs: { ...blobs, done: blobs.done + 1 },
        bytes: { ...bytes, done: bytes.done + blob.value.size },
      }
      await this.#write(done, rewritten.changes)
    } catch (error) {
      // ADR 0023: the commit may have succeeded, and then this is the only file of the blob.
      if (!leftNothing(error)) throw error
      // A file that can't be removed is set aside later.
      await rewritten.undo().catch(() => undefined)
      const isGone = error instanceof VersionConflict && error.collection === blobRecords.name
      if (!isGone) throw error
      return
    }
    await rewritten.settle()
  }

  async #write(change: Partial<ReEncryption>, more: readonly Change[] = []): Promise<void> {
    const { id, version } = this.#stored
    const { waitingFor: _, ...rest } = this.#stored.value
    const value: ReEncryption = { ...rest, ...change }
    const written = await this.#records.commit([...this.#fence, put(reEncryptions, id, value, version), ...more])
    this.#stored = storedAs(written, reEncryptions, id, value)
  }
}

function underWay(): Conflict {
  return new Conflict(
    'ReEncryptionInProgress',
    'The data of this resource is being re-encrypted already: GET reEncryption says how far it is.',
  )
}

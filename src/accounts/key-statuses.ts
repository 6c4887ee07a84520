import { AsyncResource } from 'node:async_hooks'
import type { AuditSink } from '../audit/audit-event.ts'
import { keyStates } from '../encryption/key-state.ts'
import type { KeyUnavailableCause } from '../encryption/key-unavailable.ts'
import type { KeyOutcome } from '../encryption/key-ring.ts'
import type { Env } from '../base/env.ts'
import { everyRecord } from '../store/every-record.ts'
import {
  collection,
  leaveOut,
  mustExist,
  put,
  remove,
  VersionConflict,
  type Change,
  type RecordStore,
  type Watch,
} from '../store/records.ts'
import { storageTrouble } from '../store/storage-errors.ts'
import { accounts, type Account } from './account.ts'

/** The state of an account's customer-managed key. Times are ISO 8601, UTC. */
export interface KeyStatus {
  readonly state: 'Active' | 'KeyUnavailable'
  /** URI of the key version that wraps the account's data keys now. */
  readonly keyIdentifier: string
  readonly cause?: KeyUnavailableCause
  /** What is wrong and what fixes it. */
  readonly message?: string
  /** Since when it has been in this state, for this cause. */
  readonly since: string
  /** When the vault last allowed get, wrap and unwrap. */
  readonly lastSuccess: string
  /** When the vault was last asked. */
  readonly lastChecked: string
  /** When the key version expires; absent: never. After that it can only unwrap. */
  readonly expiresOn?: string
}

/** By account id. Written when the state changes; times in between are kept in memory, and written at a clean end. */
const keyStatuses = collection<KeyStatus>('accounts.key-statuses')

const MOST_LEFT = 10_000
const AT_ONCE = 1000
const ATTEMPTS = 5

interface Changed {
  readonly accountId: string
  readonly before: KeyStatus
  readonly status: KeyStatus
}

/** Keeps for each account under a customer-managed key whether the key can be used. Changes are recorded in the audit log. */
export class KeyStatuses {
  readonly #options: {
    records: RecordStore
    env: Env
    audit: AuditSink
    log: (message: string, error: unknown) => void
  }
  readonly #known = new Map<string, KeyStatus>()
  /** Accounts of which more is known here than is written. */
  readonly #unwritten = new Set<string>()
  /** Monotonic milliseconds of the last answer, by account id. */
  readonly #asked = new Map<string, number>()
  /** Changes that are still to be recorded. */
  readonly #left: Changed[] = []
  #writing: Promise<void> = Promise.resolve()
  /** Reads one after the other, so that what is read later counts. */
  #reading: Promise<void> = Promise.resolve()
  #closed = false
  /** Called with the vault's answer, by any request that asked. What follows from it is not part of that request's record. */
  readonly note: (outcome: KeyOutcome) => void

  constructor(options: {
    records: RecordStore
    env: Env
    audit: AuditSink
    log: (message: string, error: unknown) => void
  }) {
    this.#options = options
    this.note = AsyncResource.bind((outcome: KeyOutcome) => this.#note(outcome))
  }

  /** Loads what the last run knew, and what other processes know. */
  load(): Promise<void> {
    return this.#inOrder(async () => {
      const gone = new Set(this.#known.keys())
      for await (const { id, value } of everyRecord(this.#options.records, keyStatuses, { onTampered: leaveOut })) {
        gone.delete(id)
        this.#see(id, value)
      }
      for (const id of gone) if (!this.#unwritten.has(id)) this.#known.delete(id)
    })
  }

  /** Unless more is known here of the same key. */
  #see(accountId: string, stored: KeyStatus): void {
    const known = this.#known.get(accountId)
    const isNewer = known?.keyIdentifier === stored.keyIdentifier && known.lastChecked > stored.lastChecked
    if (isNewer && this.#unwritten.has(accountId)) return
    this.#known.set(accountId, stored)
    this.#unwritten.delete(accountId)
  }

  #inOrder(read: () => Promise<void>): Promise<void> {
    const reading = this.#reading.then(read)
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  /** What another process learnt of a key is known here too. Call it before `load`, so that nothing is missed in between. */
  followOthers(): Watch {
    const { records, log } = this.#options
    const follow = async (accountId: string): Promise<void> => {
      const stored = await records.get(keyStatuses, accountId)
      this.#unwritten.delete(accountId)
      if (stored === undefined) this.#known.delete(accountId)
      else this.#known.set(accountId, stored.value)
    }
    const failed = (failure: unknown): void => log('The state of a key could not be followed', failure)
    return records.watch(written => {
      if (written === 'lost') this.load().catch(failed)
      else
        for (const { collection, id } of written)
          if (collection === keyStatuses.name) this.#inOrder(() => follow(id)).catch(failed)
    })
  }

  of(accountId: string): KeyStatus | undefined {
    return this.#known.get(accountId)
  }

  /** Milliseconds since the vault was last asked for the account's key. */
  sinceAsked(accountId: string): number {
    return performance.now() - (this.#asked.get(accountId) ?? Number.NEGATIVE_INFINITY)
  }

  /** Changes for the commit that puts the account under another key; call `settled` after it. R29: undefined for service-managed keys. */
  change(accountId: string, keyIdentifier: string | undefined): { changes: Change[]; settled: () => void } {
    const fresh = keyIdentifier === undefined ? undefined : active(keyIdentifier, this.#now())
    return {
      changes: [fresh === undefined ? remove(keyStatuses, accountId) : put(keyStatuses, accountId, fresh)],
      settled: () => {
        this.#known.delete(accountId)
        this.#unwritten.delete(accountId)
        if (fresh === undefined) return
        this.#known.set(accountId, fresh)
        // The change itself has used get, wrap and unwrap.
        this.#asked.set(accountId, performance.now())
      },
    }
  }

  /** The account turns out to be under this key, whose vault is still to be asked. */
  adopt(accountId: string, keyIdentifier: string): void {
    this.#known.set(accountId, active(keyIdentifier, this.#now()))
    this.#unwritten.add(accountId)
    this.#asked.delete(accountId)
  }

  /**
   * Writes what is only in memory. After that, answers are ignored, since a service that ends does not reach its own vaults. What can't be
   * written is lost: the next start asks the vaults again.
   */
  async close(): Promise<void> {
    this.#closed = true
    await this.#writing
    await this.#writeAll().catch((failure: unknown) =>
      this.#options.log('The state of keys could not be recorded at the end', failure),
    )
  }

  async #writeAll(): Promise<void> {
    await this.#recordLeft()
    const own = [...this.#known].filter(([accountId]) => this.#unwritten.has(accountId))
    for (let from = 0; from < own.length; from += AT_ONCE) {
      const some = own.slice(from, from + AT_ONCE)
      await this.#unlessChanged(async () => {
        const changes = await Promise.all(some.map(([accountId, status]) => this.#changesOf(accountId, status)))
        if (changes.flat().length > 0) await this.#options.records.commit(changes.flat())
      })
    }
  }

  /** None where others know more of the key, or the account is under another key or purged. */
  async #changesOf(accountId: string, status: KeyStatus): Promise<Change[]> {
    const stored = (await this.#options.records.get(keyStatuses, accountId))?.value
    if (stored?.keyIdentifier === status.keyIdentifier && stored.lastChecked > status.lastChecked) return []
    const held = await this.#heldBy(accountId, status)
    return held === undefined ? [] : [held, put(keyStatuses, accountId, status)]
  }

  /** The condition that the account is under the key of the status. Undefined where it is not. */
  async #heldBy(accountId: string, { keyIdentifier }: KeyStatus): Promise<Change | undefined> {
    const state = await this.#options.records.get(keyStates, accountId)
    return state?.value.kekId === keyIdentifier ? mustExist(keyStates, accountId, state.version) : undefined
  }

  /** Looks and writes again where a key ring was changed in between. */
  async #unlessChanged(write: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await write()
      } catch (error) {
        if (!(error instanceof VersionConflict) || attempt === ATTEMPTS) throw error
      }
    }
  }

  #note(outcome: KeyOutcome): void {
    const { accountId, kekId } = outcome
    const before = this.#known.get(accountId)
    // The answer is about a key that was replaced meanwhile, or the account has none now.
    if (this.#closed || before?.keyIdentifier !== kekId) return
    this.#asked.set(accountId, performance.now())
    const status = after(before, outcome, this.#now())
    this.#known.set(accountId, status)
    this.#unwritten.add(accountId)
    const isChanged = status.since !== before.since || status.state !== before.state
    if (isChanged && this.#left.length < MOST_LEFT) this.#left.push({ accountId, before, status })
    if (this.#left.length === 0) return
    this.#writing = this.#writing
      .then(() => this.#recordLeft())
      .catch((failure: unknown) => this.#options.log('The state of a key could not be recorded', failure))
  }

  /** In their order; what a full disk refuses is tried again with the next answer of a vault. */
  async #recordLeft(): Promise<void> {
    for (let [next] = this.#left; next !== undefined; [next] = this.#left) {
      await this.#unlessChanged(() => this.#record(next)).catch((failure: unknown) => {
        if (storageTrouble(failure) === undefined) this.#left.shift()
        throw failure
      })
      this.#left.shift()
    }
  }

  /** R05: records in the audit log that a key became unavailable or available again, also where no request needed it. */
  async #record({ accountId, before, status }: Changed): Promise<void> {
    const { records, audit } = this.#options
    const account: Account | undefined = (await records.get(accounts, accountId))?.value
    const held = await this.#heldBy(accountId, status)
    if (account === undefined || held === undefined) return
    const isActive = status.state === 'Active'
    await audit.append(
      {
        category: 'AuditEvent',
        operationName: 'Microsoft.CognitiveServices/accounts/encryption/status',
        resourceId: account.id.toUpperCase(),
        resultType: isActive ? 'Success' : 'Failed',
        resultDescription: isActive ? 'The customer-managed key can be used again.' : (status.message ?? ''),
        properties: {
          httpStatusCode: isActive ? 200 : 403,
          kid: status.keyIdentifier,
          from: before.cause ?? before.state,
          to: status.cause ?? status.state,
        },
      },
      [held, put(keyStatuses, accountId, status)],
    )
  }

  #now(): string {
    return new Date(this.#options.env.now()).toISOString()
  }
}

function active(keyIdentifier: string, now: string): KeyStatus {
  return { state: 'Active', keyIdentifier, since: now, lastSuccess: now, lastChecked: now }
}

function after(before: KeyStatus, { error, expiresOn }: KeyOutcome, now: string): KeyStatus {
  const { keyIdentifier } = before
  const state = error === undefined ? 'Active' : 'KeyUnavailable'
  const since = before.state === state && before.cause === error?.reason ? before.since : now
  const lastSuccess = error === undefined ? now : before.lastSuccess
  const why = error === undefined ? {} : { cause: error.reason, message: error.message }
  const expiry = error === undefined ? expiresOn?.toISOString() : before.expiresOn
  const times = { since, lastSuccess, lastChecked: now, ...(expiry === undefined ? {} : { expiresOn: expiry }) }
  return { state, keyIdentifier, ...why, ...times }
}

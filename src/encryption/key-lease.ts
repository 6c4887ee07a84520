import { mergeKeys, wipeKeys, type DataKeys } from './data-key.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { LeaseClock } from './lease-clock.ts'
import { isRefusal, PlaintextHolds, type PlaintextHold } from './plaintext-holds.ts'

interface Lease {
  readonly keys: DataKeys
  /** When the vault was asked, and when the lease ends, by the lease clock. */
  readonly asked: number
  readonly until: number
}

/** How often the clock is checked while there is a lease or a hold, since a timer does not see that the machine slept. */
const LOOK_MS = 250

/**
 * Lets an account's data keys be used for `leaseMs` after the vault was last asked, never longer, so a revocation takes
 * effect within one lease (R19, R20, R21). There is one renewal at a time for each account. A refusal ends the lease at once. A timer
 * ends each lease and overwrites its keys. Where plaintext is held without the keys, `hold` binds it to the lease as well.
 */
export class KeyLeases {
  readonly #leases = new Map<string, Lease>()
  readonly #renewals = new Map<string, Promise<DataKeys>>()
  readonly #probes = new Map<string, Promise<void>>()
  readonly #holds: PlaintextHolds
  readonly #leaseMs: number
  readonly #renew: (accountId: string) => Promise<DataKeys>
  readonly #clock: Pick<LeaseClock, 'now' | 'look'>
  #timer: { readonly at: number; readonly timeout: NodeJS.Timeout } | undefined

  /** @param clock neither a clock that is set back nor a sleeping machine must lengthen a lease */
  constructor(
    leaseMs: number,
    renew: (accountId: string) => Promise<DataKeys>,
    clock: Pick<LeaseClock, 'now' | 'look'> = new LeaseClock(),
  ) {
    this.#leaseMs = leaseMs
    this.#renew = renew
    this.#clock = clock
    this.#holds = new PlaintextHolds(leaseMs, {
      ask: accountId => this.renew(accountId),
      now: () => clock.now(),
      wake: () => this.#wake(this.#holds.due()),
    })
  }

  /** The keys under a lease, after asking the vault if needed. To be used at once. @throws KeyUnavailable */
  async keys(accountId: string): Promise<DataKeys> {
    return this.#running(accountId)?.keys ?? this.renew(accountId)
  }

  /** Binds a holder of plaintext to the account's lease until it is released. @throws KeyUnavailable */
  async hold(accountId: string): Promise<PlaintextHold> {
    for (;;) {
      const { kekId } = await this.keys(accountId)
      // Absent: the permission was taken back at the same moment, so the vault is asked again.
      const lease = this.#leases.get(accountId)
      if (lease === undefined) continue
      const hold = this.#holds.add(accountId, lease.asked, kekId)
      this.#wake(this.#holds.due())
      return hold
    }
  }

  /**
   * Checks each further part of what is read under a hold. With a lease of 0 each use asks, and so does one that comes before the
   * timer that should have asked. @throws KeyUnavailable
   */
  async check(accountId: string, hold: PlaintextHold): Promise<void> {
    if (this.#leaseMs === 0 || !hold.isCurrent()) await this.keys(accountId)
    hold.check()
  }

  /** Asks the vault now, also during a lease. @throws KeyUnavailable */
  renew(accountId: string): Promise<DataKeys> {
    const running = this.#renewals.get(accountId)
    if (running !== undefined) return running
    const renewal: Promise<DataKeys> = this.#ask(accountId, () => this.#renewals.get(accountId) === renewal).finally(
      () => {
        if (this.#renewals.get(accountId) === renewal) this.#renewals.delete(accountId)
      },
    )
    this.#renewals.set(accountId, renewal)
    return renewal
  }

  /**
   * Asks the vault without keeping the unwrapped keys, since nobody needs them now. A refusal ends the lease at once; without an
   * answer it runs out. @throws KeyUnavailable
   */
  probe(accountId: string): Promise<void> {
    const running = this.#probes.get(accountId)
    if (running !== undefined) return running
    const probe = this.#probe(accountId).finally(() => this.#probes.delete(accountId))
    this.#probes.set(accountId, probe)
    return probe
  }

  async #probe(accountId: string): Promise<void> {
    const renewal = this.#holds.has(accountId) ? this.renew(accountId) : this.#renewals.get(accountId)
    try {
      if (renewal === undefined) wipeKeys(await this.#renew(accountId))
      else await renewal
    } catch (error) {
      if (!(error instanceof KeyUnavailable && error.isSilence)) this.end(accountId)
      if (isRefusal(error)) this.#holds.refused(accountId, error)
      throw error
    }
  }

  /**
   * Forgets the keys, so the next use asks the vault again. The result of a renewal under way is not kept. Where plaintext is held,
   * the vault is asked at once.
   */
  end(accountId: string): void {
    this.#drop(accountId)
    this.#renewals.delete(accountId)
    this.#holds.askNow(accountId)
    this.#wake(this.#holds.due())
  }

  /** The same for every account. */
  endAll(): void {
    for (const accountId of this.#leases.keys()) this.end(accountId)
  }

  async #ask(accountId: string, isCurrent: () => boolean): Promise<DataKeys> {
    // Access may be revoked while the vault answers, so the lease counts from before the question.
    const asked = this.#clock.now()
    try {
      const fresh = await this.#renew(accountId)
      if (!isCurrent()) {
        wipeKeys(fresh)
        return fresh
      }
      const keys = mergeKeys(this.#leases.get(accountId)?.keys, fresh)
      this.#leases.set(accountId, { keys, asked, until: asked + this.#leaseMs })
      this.#holds.allowed(accountId, asked, keys.kekId)
      this.#wake(asked + this.#leaseMs)
      return keys
    } catch (error) {
      if (isCurrent()) {
        this.#drop(accountId)
        if (isRefusal(error)) this.#holds.refused(accountId, error)
      }
      throw error
    }
  }

  #running(accountId: string): Lease | undefined {
    const lease = this.#leases.get(accountId)
    return lease !== undefined && this.#clock.now() < lease.until ? lease : undefined
  }

  #drop(accountId: string): void {
    const lease = this.#leases.get(accountId)
    if (lease === undefined) return
    wipeKeys(lease.keys)
    this.#leases.delete(accountId)
  }

  /** Sets the timer for this time, unless it is set for an earlier one. */
  #wake(due: number): void {
    if (due === Infinity) return
    const now = this.#clock.now()
    const at = Math.min(due, now + LOOK_MS)
    if (this.#timer !== undefined && this.#timer.at <= at) return
    clearTimeout(this.#timer?.timeout)
    const timeout = setTimeout(() => this.#onTimer(), Math.max(0, Math.ceil(at - now)))
    timeout.unref()
    this.#timer = { at, timeout }
  }

  #onTimer(): void {
    this.#timer = undefined
    const now = this.#clock.look()
    let due = Infinity
    for (const [accountId, { until }] of this.#leases) {
      if (now >= until) this.#drop(accountId)
      else due = Math.min(due, until)
    }
    this.#holds.onTimer()
    this.#wake(Math.min(due, this.#holds.due()))
  }
}

import type { KeyObject } from 'node:crypto'
import { KeyUnavailable } from './key-unavailable.ts'

/** The unwrapped data keys of an account, by generation. */
export interface DataKeys {
  /** The generation that new blobs are wrapped under. */
  readonly current: number
  readonly byGeneration: ReadonlyMap<number, KeyObject>
}

interface Lease {
  readonly keys: DataKeys
  /** Monotonic milliseconds. */
  readonly until: number
}

/**
 * Lets an account's data keys be used for `leaseMs` after the vault was last asked, never longer: so a revocation takes
 * effect within one lease (R19, R20, R21). One renewal at a time for each account; a refusal ends the lease at once.
 */
export class KeyLeases {
  readonly #leases = new Map<string, Lease>()
  readonly #renewals = new Map<string, Promise<DataKeys>>()
  readonly #probes = new Map<string, Promise<void>>()
  readonly #leaseMs: number
  readonly #renew: (accountId: string) => Promise<DataKeys>
  readonly #now: () => number

  /** @param now monotonic milliseconds: a clock that is set back must not lengthen a lease */
  constructor(
    leaseMs: number,
    renew: (accountId: string) => Promise<DataKeys>,
    now: () => number = () => performance.now(),
  ) {
    this.#leaseMs = leaseMs
    this.#renew = renew
    this.#now = now
  }

  /** The keys under a running lease, after asking the vault if need be. @throws KeyUnavailable */
  async keys(accountId: string): Promise<DataKeys> {
    const lease = this.#leases.get(accountId)
    if (lease !== undefined && this.#now() < lease.until) return lease.keys
    return this.renew(accountId)
  }

  /** Asks the vault now, whatever the lease says. @throws KeyUnavailable */
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
   * Asks the vault without keeping what it unwraps: nobody needs the keys now. A refusal ends the lease at once; a vault
   * that does not answer leaves it to run out. @throws KeyUnavailable
   */
  probe(accountId: string): Promise<void> {
    const running = this.#probes.get(accountId)
    if (running !== undefined) return running
    const probe = this.#probe(accountId).finally(() => this.#probes.delete(accountId))
    this.#probes.set(accountId, probe)
    return probe
  }

  async #probe(accountId: string): Promise<void> {
    try {
      await (this.#renewals.get(accountId) ?? this.#renew(accountId))
    } catch (error) {
      if (!(error instanceof KeyUnavailable && error.reason === 'Unreachable')) this.end(accountId)
      throw error
    }
  }

  /** Forgets the keys: the next use asks the vault again. What a renewal under way brings is not kept. */
  end(accountId: string): void {
    this.#leases.delete(accountId)
    this.#renewals.delete(accountId)
  }

  async #ask(accountId: string, isCurrent: () => boolean): Promise<DataKeys> {
    // The lease counts from before the question: what the vault allowed then is all we know.
    const asked = this.#now()
    try {
      const keys = await this.#renew(accountId)
      if (isCurrent()) this.#leases.set(accountId, { keys, until: asked + this.#leaseMs })
      return keys
    } catch (error) {
      if (isCurrent()) this.#leases.delete(accountId)
      throw error
    }
  }
}

import { AzureError } from '../http/errors.ts'
import { KeyUnavailable } from './key-unavailable.ts'

/** Exists while something holds an account's plaintext where no code checks leases: a child process, a queue, a stream. */
export interface PlaintextHold {
  /** Aborted with the KeyUnavailable when the vault refuses, or when the lease ends without an answer. */
  readonly signal: AbortSignal
  /** Whether the vault's last permission is still valid. */
  isCurrent(): boolean
  /** Ends it if the lease is over. @throws KeyUnavailable when it has ended */
  check(): void
  release(): void
}

/** A signal costs more than a short read, so it is made on demand. */
class Hold {
  #controller: AbortController | undefined
  #reason: unknown
  #isOver = false

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isOver) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  end(reason: unknown): void {
    this.#isOver = true
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  throwIfOver(): void {
    if (this.#isOver) throw this.#reason
  }
}

interface Held {
  readonly holds: Set<Hold>
  /** The key-encryption key that was last asked. */
  kekId: string
  until: number
  askAt: number
  /** The question under way. An answer to an earlier one does not count. */
  asking: object | undefined
  failures: number
  lastError: unknown
}

/** The shortest lease for holds, since a child process can't ask before each of its instructions. Milliseconds. */
const SHORTEST_MS = 400
/** How long after its lease a timer ends a hold: half of the half second that ending everything may take. Milliseconds. */
const GRACE_MS = 250
/** How long before the end of a lease the next one is asked for, with time for slow answers and retries. Milliseconds. */
const AHEAD_MS = 4000
/** The part of a lease that passes at least before the next one is asked for. */
const EARLIEST = { part: 0.25, ms: 200 }
/** An answer that came later than a lease after its question may be used only for this long. Milliseconds. */
const AT_ONCE_MS = 250
const FIRST_RETRY_MS = 100

/**
 * Which accounts' plaintext is held, and until when. While there is a hold, the vault is asked again before each lease ends. A
 * silent vault is asked again at growing intervals. All times are those of the lease clock, in milliseconds.
 */
export class PlaintextHolds {
  readonly #held = new Map<string, Held>()
  readonly #boundMs: number
  readonly #ask: (accountId: string) => Promise<unknown>
  readonly #now: () => number
  readonly #wake: () => void

  /** @param given `ask` renews the account's lease, which calls `allowed` or `refused`; `wake` is called when `due` changes */
  constructor(
    leaseMs: number,
    given: { ask: (accountId: string) => Promise<unknown>; now: () => number; wake: () => void },
  ) {
    this.#boundMs = Math.max(leaseMs, SHORTEST_MS)
    this.#ask = given.ask
    this.#now = given.now
    this.#wake = given.wake
  }

  has(accountId: string): boolean {
    return this.#held.has(accountId)
  }

  /** @param asked time of the question to which the vault last gave permission */
  add(accountId: string, asked: number, kekId: string): PlaintextHold {
    const hold = new Hold()
    const until = Math.max(asked + this.#boundMs, this.#now() + AT_ONCE_MS)
    const known = this.#held.get(accountId)
    const held: Held = known ?? {
      holds: new Set(),
      kekId,
      until,
      askAt: this.#askAfter(asked),
      asking: undefined,
      failures: 0,
      lastError: undefined,
    }
    held.until = Math.max(held.until, until)
    held.holds.add(hold)
    this.#held.set(accountId, held)
    return {
      get signal() {
        return hold.signal
      },
      isCurrent: () => this.#now() < held.until,
      check: () => {
        hold.throwIfOver()
        if (this.#now() < held.until) return
        this.#expire(accountId, held)
        hold.throwIfOver()
      },
      release: () => {
        held.holds.delete(hold)
        if (held.holds.size === 0 && this.#held.get(accountId) === held) this.#held.delete(accountId)
      },
    }
  }

  allowed(accountId: string, asked: number, kekId: string): void {
    const held = this.#held.get(accountId)
    if (held === undefined) return
    held.until = Math.max(held.until, asked + this.#boundMs)
    held.askAt = this.#askAfter(asked)
    Object.assign(held, { kekId, asking: undefined, failures: 0, lastError: undefined })
  }

  /** The vault, or the state of the account, refuses. */
  refused(accountId: string, error: unknown): void {
    const held = this.#held.get(accountId)
    if (held === undefined) return
    this.#held.delete(accountId)
    for (const hold of held.holds) hold.end(error)
  }

  /** The earlier permission ends at its normal time at the latest. The next answer decides whether it is still valid. */
  askNow(accountId: string): void {
    const held = this.#held.get(accountId)
    if (held === undefined) return
    held.asking = undefined
    held.askAt = this.#now()
  }

  /** Ends what is over, and asks where it is time to. */
  onTimer(): void {
    for (const [accountId, held] of this.#held) {
      if (this.#now() >= held.until + GRACE_MS) this.#expire(accountId, held)
      else if (held.asking === undefined && this.#now() >= held.askAt) this.#renew(accountId, held)
    }
  }

  /** The time of the next thing to do; Infinity: never. */
  due(): number {
    let due = Infinity
    for (const { until, askAt, asking } of this.#held.values())
      due = Math.min(due, until + GRACE_MS, asking === undefined ? askAt : Infinity)
    return due
  }

  #askAfter(asked: number): number {
    return asked + Math.max(EARLIEST.ms, EARLIEST.part * this.#boundMs, this.#boundMs - AHEAD_MS)
  }

  #expire(accountId: string, { lastError, kekId, asking }: Held): void {
    if (lastError instanceof KeyUnavailable) return this.refused(accountId, lastError)
    // A machine that slept has not asked.
    if (asking === undefined) return this.refused(accountId, new KeyUnavailable('LeaseEnded', kekId))
    const silence = { code: 'Timeout', message: 'No answer of the vault came before the lease ended.' } as const
    this.refused(accountId, new KeyUnavailable('Unreachable', kekId, silence))
  }

  #renew(accountId: string, held: Held): void {
    const question = {}
    held.asking = question
    this.#ask(accountId).catch((error: unknown) => {
      if (held.asking !== question) return
      held.asking = undefined
      held.lastError = error
      held.askAt = this.#now() + Math.min(this.#boundMs / 4, FIRST_RETRY_MS * 2 ** held.failures)
      held.failures += 1
      this.#wake()
    })
  }
}

/** Whether it is a refusal, not silence or a fault of the service's own, which may be gone at the next question. */
export function isRefusal(error: unknown): boolean {
  return error instanceof AzureError && !(error instanceof KeyUnavailable && error.isSilence)
}

import { AzureError } from '../http/errors.ts'
import { KeyUnavailable } from './key-unavailable.ts'

/** For as long as something holds an account's plaintext where no code checks leases: a child process, a queue, a stream. */
export interface PlaintextHold {
  /** Aborted, with the KeyUnavailable that says why, when the vault refuses or the lease ends without an answer. */
  readonly signal: AbortSignal
  /** Whether the vault's last yes still counts. */
  isCurrent(): boolean
  /** Ends it if the lease is over. @throws KeyUnavailable when it has ended */
  check(): void
  release(): void
}

/** A signal costs more than a short read: it is made when somebody wants it. */
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
  /** The question under way; an answer to an earlier one does not count. */
  asking: object | undefined
  failures: number
  lastError: unknown
}

/** A lease shorter than this holds for so long all the same: a child can't ask before each of its instructions. Milliseconds. */
const SHORTEST_MS = 400
/** A hold ends by the timer so much after its lease: half of the half second that ending everything may take. Milliseconds. */
const GRACE_MS = 250
/** The next lease is asked for so long before the present one ends, for slow answers and for tries again. Milliseconds. */
const AHEAD_MS = 4000
/** And at the earliest when this much of it has passed. */
const EARLIEST = { part: 0.25, ms: 200 }
/** What came later than a lease after the question may be used at once, and no longer. Milliseconds. */
const AT_ONCE_MS = 250
const FIRST_RETRY_MS = 100

/**
 * Which accounts' plaintext is held, and until when. While there is a hold, the vault is asked again before each lease ends; a
 * silence is asked into again, ever more slowly. All times are those of the lease clock, in milliseconds.
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

  /** @param asked when the question was put that the vault last answered with yes */
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

  /** The vault, or the state of the account, says no. */
  refused(accountId: string, error: unknown): void {
    const held = this.#held.get(accountId)
    if (held === undefined) return
    this.#held.delete(accountId)
    for (const hold of held.holds) hold.end(error)
  }

  /** What was allowed before counts no longer than it would have, and may not count at all: the next answer says. */
  askNow(accountId: string): void {
    const held = this.#held.get(accountId)
    if (held === undefined) return
    held.asking = undefined
    held.askAt = this.#now()
  }

  /** Ends what is over, and asks where it is time to. */
  tick(): void {
    for (const [accountId, held] of this.#held) {
      if (this.#now() >= held.until + GRACE_MS) this.#expire(accountId, held)
      else if (held.asking === undefined && this.#now() >= held.askAt) this.#renew(accountId, held)
    }
  }

  /** When there is next something to do; Infinity: never. */
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
    // A machine that slept has asked nothing.
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

/** Whether an answer is a no, and not a silence or a fault of ours that the next question may not meet. */
export function isRefusal(error: unknown): boolean {
  return error instanceof AzureError && !(error instanceof KeyUnavailable && error.isSilence)
}

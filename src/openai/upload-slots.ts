import { giveBackMemory } from './give-back-memory.ts'
import { AzureError } from '../http/errors.ts'
import type { CallBody } from '../http/route.ts'

export interface UploadLimits {
  /** Uploads whose bytes are read at the same time. Each holds up to 4 MiB, and as much again in garbage. */
  readonly atOnce: number
  /** Uploads that wait for a place, unread; half as many for one account. */
  readonly waiting: number
  /** The longest wait. */
  readonly waitMs: number
  /** While an account with fewer uploads waits, an upload ends that brings less than `slowBytes` in `lookMs`. */
  readonly lookMs: number
  readonly slowBytes: number
}

/** When the memory of uploads is given back, after the last of them. */
const IDLE_MS = 1000
/** The least number of uploads since the last time. */
const MANY = 4

const UPLOAD_LIMITS: UploadLimits = {
  atOnce: 8,
  waiting: 512,
  waitMs: 120_000,
  lookMs: 5000,
  slowBytes: 5 * 1024 * 1024,
}

type Progress = Pick<CallBody, 'received' | 'waited' | 'destroy'>

interface Waiting {
  readonly accountId: string
  readonly begin: () => void
}

interface UnderWay {
  readonly accountId: string
  body?: Progress
  /** What it had at the last look. */
  seen?: { readonly received: number; readonly waited: number }
}

/**
 * Bounds the memory of uploads. Those that wait are served in turn, accounts with fewer uploads under way first. An account may have as
 * many as places are left (the dynamic thresholds of Choudhury and Hahne, 1998). So slow uploads of one account hold half of eight places,
 * those of two three quarters, and an account without uploads finds one. Many accounts can still fill all places. While an account with
 * fewer waits behind them, the slowest of the uploads whose clients make us wait ends, one at each look.
 */
export class UploadSlots {
  readonly #limits: UploadLimits
  /** How many are under way, by account. */
  readonly #busy = new Map<string, number>()
  readonly #underWay = new Set<UnderWay>()
  #waiting: Waiting[] = []
  #taken = 0
  /** Uploads since memory was given back. */
  #since = 0
  #idle: NodeJS.Timeout | undefined
  #looks: NodeJS.Timeout | undefined

  constructor(limits: UploadLimits = UPLOAD_LIMITS) {
    this.#limits = limits
  }

  /**
   * Runs an upload when there is a place for it. @throws 429 with `retry-after` where too many wait or it has waited too long; the
   * signal's reason when its client went away
   */
  async run<T>(
    accountId: string,
    signal: AbortSignal,
    upload: (watched: <B extends Progress>(body: B) => B) => Promise<T>,
  ): Promise<T> {
    if (!this.#isFree(accountId)) await this.#wait(accountId, signal)
    else this.#take(accountId)
    const own: UnderWay = { accountId }
    this.#underWay.add(own)
    try {
      return await upload(body => {
        own.body = body
        return body
      })
    } finally {
      this.#underWay.delete(own)
      this.#release(accountId)
    }
  }

  #isFree(accountId: string): boolean {
    return this.#busyOf(accountId) < this.#limits.atOnce - this.#taken
  }

  #busyOf(accountId: string): number {
    return this.#busy.get(accountId) ?? 0
  }

  #take(accountId: string): void {
    this.#taken += 1
    this.#since += 1
    this.#busy.set(accountId, this.#busyOf(accountId) + 1)
  }

  #release(accountId: string): void {
    this.#taken -= 1
    const left = this.#busyOf(accountId) - 1
    if (left === 0) this.#busy.delete(accountId)
    else this.#busy.set(accountId, left)
    if (this.#taken === 0) {
      clearTimeout(this.#idle)
      this.#idle = setTimeout(() => this.#settle(), IDLE_MS).unref()
    }
    const [next] = this.#waiting
      .filter(one => this.#isFree(one.accountId))
      .toSorted((a, b) => this.#busyOf(a.accountId) - this.#busyOf(b.accountId))
    if (next === undefined) return
    this.#waiting = this.#waiting.filter(one => one !== next)
    this.#take(next.accountId)
    next.begin()
  }

  /** Ends the slowest upload that holds a place for which an account with fewer waits. */
  #look(): void {
    if (this.#waiting.length === 0) {
      clearInterval(this.#looks)
      this.#looks = undefined
    }
    const least = Math.min(...this.#waiting.map(({ accountId }) => this.#busyOf(accountId)))
    let [slowest, fewest]: [Progress | undefined, number] = [undefined, this.#limits.slowBytes]
    for (const own of this.#underWay) {
      const { body, seen, accountId } = own
      if (body === undefined) continue
      own.seen = { received: body.received, waited: body.waited }
      // Time of our own disk or vault is not the client's.
      if (seen === undefined || body.waited - seen.waited < this.#limits.lookMs / 2) continue
      const came = body.received - seen.received
      if (came < fewest && least < this.#busyOf(accountId)) [slowest, fewest] = [body, came]
    }
    slowest?.destroy(tooSlow())
  }

  #settle(): void {
    if (this.#taken > 0 || this.#since < MANY) return
    this.#since = 0
    void giveBackMemory()
  }

  async #wait(accountId: string, signal: AbortSignal): Promise<void> {
    const { waiting, waitMs } = this.#limits
    const own = this.#waiting.filter(one => one.accountId === accountId)
    if (this.#waiting.length >= waiting || own.length >= waiting / 2) throw tooMany()
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const one = { accountId, begin: resolve }
    this.#waiting.push(one)
    this.#looks ??= setInterval(() => this.#look(), this.#limits.lookMs).unref()
    // It stops waiting at once. Otherwise a place that becomes free before it hears of its end would be held for ever.
    const end = (reason: unknown): void => {
      this.#waiting = this.#waiting.filter(other => other !== one)
      reject(reason)
    }
    const timer = setTimeout(() => end(tooMany()), waitMs)
    const gone = (): void => end(signal.reason)
    signal.addEventListener('abort', gone, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', gone)
    }
  }
}

function tooSlow(): AzureError {
  const message = 'Others wait for the place of this upload, whose bytes came too slowly. Try again.'
  return new AzureError('RequestTimeout', 408, message, { headers: { 'retry-after': '5' } })
}

function tooMany(): AzureError {
  const message = 'Too many uploads are under way. Upload fewer at the same time, and try this one again in a moment.'
  return new AzureError('429', 429, message, { headers: { 'retry-after': '5' } })
}

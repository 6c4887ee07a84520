import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../base/env.ts'
import type { AzureError } from '../http/errors.ts'
import { loginError } from './aadsts.ts'

const freeAttempts = 5
const forgottenAfterMs = 15 * 60_000
const longestLockMs = 60_000
const maxRemembered = 10_000
const parallel = 2
const maxWaiting = 64
/** One attempt in so many milliseconds, for an address from which too many failed. */
const paceMs = 500
const maxPaced = 32

interface Failures {
  readonly count: number
  readonly last: number
}

/**
 * Slows down guessing of passwords (ADR 0022). A name waits after five failures, twice as long each time, up to a minute. An address,
 * which many may share, is only slowed down. Hashing never takes all cores. Secrets that we made don't need these limits.
 */
export interface LoginLimits {
  /** @throws 429 while `key` (a name and where it is tried from) has to wait */
  check(key: string): void
  /** Waits for its turn, one in 500 ms, if `key` (an address) has failed too often; shuts nobody out. @throws 503 when too many wait */
  pace(key: string): Promise<void>
  failed(key: string): void
  succeeded(key: string): void
  /** Runs expensive work, two at a time. @throws 503 when too many wait already */
  run<T>(work: () => Promise<T>): Promise<T>
}

/** @param free failures before any waiting */
export function loginLimits(env: Env, free = freeAttempts, mostWaiting = maxWaiting): LoginLimits {
  const failures = new Map<string, Failures>()
  const waiting: (() => void)[] = []
  let running = 0
  const lanes = new Map<string, { waiting: number; freeAt: number }>()
  const recent = (key: string): Failures | undefined => {
    const known = failures.get(key)
    const age = known === undefined ? 0 : env.now() - known.last
    // Failures in the future are from before the clock was put back. They would lock for as long as it was ahead.
    return age >= 0 && age < forgottenAfterMs ? known : undefined
  }
  return {
    check(key) {
      const known = recent(key)
      if (!known || known.count < free) return
      const lock = Math.min(1000 * 2 ** (known.count - free), longestLockMs)
      const left = Math.ceil((known.last + lock - env.now()) / 1000)
      if (left <= 0) return
      const message = `Too many failed logins under this name: try again in ${left} seconds.`
      throw loginError('temporarily_unavailable', 50053, message, { status: 429, retryAfter: left })
    },
    async pace(key) {
      if ((recent(key)?.count ?? 0) < free) return
      const lane = lanes.get(key) ?? { waiting: 0, freeAt: 0 }
      if (lane.waiting >= maxPaced) throw busy()
      for (const [other, { freeAt }] of lanes) if (freeAt < performance.now()) lanes.delete(other)
      lanes.set(key, lane)
      lane.waiting += 1
      const at = Math.max(performance.now(), lane.freeAt)
      lane.freeAt = at + paceMs
      await sleep(at - performance.now())
      lane.waiting -= 1
    },
    failed(key) {
      const count = (recent(key)?.count ?? 0) + 1
      failures.delete(key)
      failures.set(key, { count, last: env.now() })
      const [oldest] = failures.keys()
      if (failures.size > maxRemembered && oldest !== undefined) failures.delete(oldest)
    },
    succeeded(key) {
      failures.delete(key)
    },
    async run(work) {
      if (running >= parallel) {
        if (waiting.length >= mostWaiting) throw busy()
        await new Promise<void>(resolve => waiting.push(resolve))
      } else running++
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}

function busy(): AzureError {
  const message = 'Too many logins at a time: try again.'
  return loginError('temporarily_unavailable', 90033, message, { status: 503, retryAfter: 1 })
}

import type { Env } from '../env.ts'
import { loginError } from './aadsts.ts'

const freeAttempts = 5
const forgottenAfterMs = 15 * 60_000
const longestLockMs = 5 * 60_000
const maxRemembered = 10_000
const parallel = 2
const maxWaiting = 64

interface Failures {
  readonly count: number
  readonly last: number
}

/** Slows down guessing: who fails more than five times waits, twice as long each time; and hashing never takes all cores. */
export interface LoginLimits {
  /** @throws 429 while `key` (client and peer) is locked out */
  check(key: string): void
  failed(key: string): void
  succeeded(key: string): void
  /** Runs expensive work, two at a time. @throws 503 when too many wait already */
  run<T>(work: () => Promise<T>): Promise<T>
}

export function loginLimits(env: Env, free = freeAttempts): LoginLimits {
  const failures = new Map<string, Failures>()
  const waiting: (() => void)[] = []
  let running = 0
  const recent = (key: string): Failures | undefined => {
    const known = failures.get(key)
    const age = known === undefined ? 0 : env.now() - known.last
    // Failures in the future come from before the clock was put back: they would lock for as long as it was ahead.
    return age >= 0 && age < forgottenAfterMs ? known : undefined
  }
  return {
    check(key) {
      const known = recent(key)
      if (!known || known.count < free) return
      const lock = Math.min(1000 * 2 ** (known.count - free), longestLockMs)
      const left = Math.ceil((known.last + lock - env.now()) / 1000)
      if (left <= 0) return
      const message = `Too many failed logins of this client: try again in ${left} seconds.`
      throw loginError('temporarily_unavailable', 50053, message, { status: 429, retryAfter: left })
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
        if (waiting.length >= maxWaiting) {
          const message = 'Too many logins at a time: try again.'
          throw loginError('temporarily_unavailable', 90033, message, { status: 503, retryAfter: 1 })
        }
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

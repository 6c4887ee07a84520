import type { Env } from '../base/env.ts'
import type { ClientKind } from './redirect-uris.ts'
import { digest } from './sessions.ts'

/** RFC 6749 4.1.2 recommends less than ten minutes. Clients redeem it within seconds. */
const LIFE_MS = 5 * 60_000
const MOST = 10_000

/** What a code grants until it is redeemed (RFC 6749 4.1, RFC 7636). */
export interface Grant {
  readonly clientId: string
  readonly redirectUri: string
  readonly kind: ClientKind
  /** Absent only for clients with a secret. */
  readonly challenge?: string
  readonly objectId: string
  readonly tenantId: string
  /** The browser's session. */
  readonly session: string
  readonly authTime: number
  readonly scope: string
  readonly nonce?: string
}

interface Kept {
  readonly until: number
  /** Absent once it was redeemed. */
  readonly grant?: Grant
  /** The family of refresh tokens that it led to. */
  readonly family?: string
}

/** Codes live for five minutes, so they are kept in memory. After a restart people only have to sign in again. */
export class Codes {
  readonly #env: Env
  readonly #kept = new Map<string, Kept>()

  constructor(env: Env) {
    this.#env = env
  }

  issue(grant: Grant): string {
    const code = this.#env.randomBytes(32).toString('base64url')
    const [oldest] = this.#kept.keys()
    if (this.#kept.size >= MOST && oldest !== undefined) this.#kept.delete(oldest)
    this.#kept.set(digest(code), { grant, until: this.#env.now() + LIFE_MS })
    return code
  }

  /** Works once, also where a later check fails. `spent`: it was redeemed before, and led to this family. */
  redeem(code: string): { readonly grant?: Grant; readonly spent?: string | undefined } {
    const key = digest(code.slice(0, 128))
    const kept = this.#kept.get(key)
    if (kept === undefined || kept.until <= this.#env.now()) return {}
    if (kept.grant === undefined) return { spent: kept.family }
    this.#kept.set(key, { until: kept.until })
    return { grant: kept.grant }
  }

  /** Remembers which family a code led to. A second use shows that the code was stolen (RFC 6749 4.1.2). */
  ledTo(code: string, family: string): void {
    const key = digest(code.slice(0, 128))
    const kept = this.#kept.get(key)
    if (kept !== undefined) this.#kept.set(key, { ...kept, family })
  }
}

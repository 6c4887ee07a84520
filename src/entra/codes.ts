import type { Env } from '../base/env.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { put, VersionConflict, type RecordStore } from '../store/records.ts'
import { makesSpace } from './expired-records.ts'
import { authorizationCodes, type Grant } from './records.ts'
import { digest } from './sessions.ts'

/** RFC 6749 4.1.2 recommends less than ten minutes. Clients redeem it within seconds. */
const LIFE_MS = 5 * 60_000
const MOST = 10_000

/** Authorization codes (RFC 6749 4.1). They are records, so any process of the store redeems them, and each only once. */
export class Codes {
  readonly #env: Env
  readonly #records: RecordStore
  readonly #makeSpace: () => Promise<boolean>

  constructor(given: { readonly env: Env; readonly records: RecordStore }) {
    this.#env = given.env
    this.#records = given.records
    this.#makeSpace = makesSpace(given, authorizationCodes, { most: MOST })
  }

  /** A code that grants this for five minutes. */
  async issue(grant: Grant): Promise<string> {
    await this.#makeSpace()
    const code = this.#env.randomBytes(32).toString('base64url')
    const value = { grant, expiresAt: this.#env.now() + LIFE_MS }
    await this.#records.commit([put(authorizationCodes, digest(code), value, 0)], { reserve: 'small' })
    return code
  }

  /** Works once, also where a later check fails. `spent`: it was redeemed before, and led to this family. */
  async redeem(code: string): Promise<{ readonly grant?: Grant; readonly spent?: string | undefined }> {
    const id = digest(code.slice(0, 128))
    const kept = await this.#records.get(authorizationCodes, id)
    if (kept === undefined || kept.value.expiresAt <= this.#env.now()) return {}
    const { grant, family, expiresAt } = kept.value
    if (grant === undefined) return { spent: family }
    try {
      await this.#records.commit([put(authorizationCodes, id, { expiresAt }, kept.version)], { reserve: 'small' })
      return { grant }
    } catch (error) {
      // Another request with the same code was faster.
      if (error instanceof VersionConflict) return this.redeem(code)
      throw error
    }
  }

  /** Remembers which family a code led to. A second use shows that the code was stolen (RFC 6749 4.1.2). */
  async ledTo(code: string, family: string): Promise<void> {
    const id = digest(code.slice(0, 128))
    const kept = await this.#records.get(authorizationCodes, id)
    if (kept === undefined) return
    const change = put(authorizationCodes, id, { ...kept.value, family }, kept.version)
    await this.#records.commit([change], { reserve: 'small' }).catch(unlessConflict)
  }
}

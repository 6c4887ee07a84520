import type { KeyObject } from 'node:crypto'
import { deriveKey, mac, verifyMac } from '../crypto/derive.ts'
import type { Env } from '../base/env.ts'
import { put, remove, VersionConflict, type RecordStore } from '../store/records.ts'
import { loginError } from './aadsts.ts'
import { sweepOf } from './expired-records.ts'
import { refreshFamilies, type RefreshFamily } from './records.ts'

/** As Entra: a page's tokens end a day after the sign-in, others 90 days after their last use. */
const PAGE_MS = 24 * 3_600_000
const IDLE_MS = 90 * 24 * 3_600_000
/** Clients ask for tokens of several resources at once with the same token. For this long it returns the same successor. */
const GRACE_MS = 60_000
const TOKEN_BYTES = 16 + 4 + 32

export type NewFamily = Pick<RefreshFamily, 'objectId' | 'tenantId' | 'clientId' | 'authTime' | 'confidential' | 'spa'>

export interface UsedToken {
  readonly family: RefreshFamily
  /** The id of the family. */
  readonly id: string
  /** The successor of the token that was used. */
  readonly next: string
}

/**
 * Refresh tokens that rotate: each use makes the next one. A token is its family's id, its number and a MAC over both, so no usable
 * token is kept. Using a replaced token shows that somebody has a copy, so it ends the whole family (RFC 9700 4.14.2).
 */
export class RefreshTokens {
  readonly #records: RecordStore
  readonly #env: Env
  readonly #key: KeyObject
  readonly #sweep: () => Promise<void>

  constructor(options: { readonly records: RecordStore; readonly env: Env; readonly sealingKey: KeyObject }) {
    this.#records = options.records
    this.#env = options.env
    this.#key = deriveKey(options.sealingKey, 'entra refresh tokens')
    this.#sweep = sweepOf(options, refreshFamilies)
  }

  /** The first token of a new sign-in. */
  async begin(wanted: NewFamily): Promise<{ readonly token: string; readonly family: string }> {
    await this.#sweep()
    const id = this.#env.randomBytes(16)
    const now = this.#env.now()
    const expiresAt = now + (wanted.spa === undefined ? IDLE_MS : PAGE_MS)
    const value: RefreshFamily = { ...wanted, generation: 0, rotatedAt: now, expiresAt }
    await this.#records.commit([put(refreshFamilies, id.toString('hex'), value, 0)], { reserve: 'small' })
    return { token: this.#tokenOf(id, 0), family: id.toString('hex') }
  }

  /** The token's grant, and its successor. @throws AADSTS700082 invalid_grant */
  async use(token: string): Promise<UsedToken> {
    const asked = this.#read(token)
    const id = asked?.id.toString('hex') ?? ''
    const found = asked && (await this.#records.get(refreshFamilies, id))
    const now = this.#env.now()
    if (!asked || !found || found.value.expiresAt <= now) throw unusable()
    const family = found.value
    const since = now - family.rotatedAt
    if (asked.generation === family.generation - 1 && since >= 0 && since < GRACE_MS)
      return { family, id, next: this.#tokenOf(asked.id, family.generation) }
    if (asked.generation !== family.generation) {
      await this.end(id)
      throw unusable()
    }
    const expiresAt = family.spa === undefined ? now + IDLE_MS : family.expiresAt
    const next: RefreshFamily = { ...family, generation: family.generation + 1, rotatedAt: now, expiresAt }
    try {
      await this.#records.commit([put(refreshFamilies, id, next, found.version)], { reserve: 'small' })
      return { family: next, id, next: this.#tokenOf(asked.id, next.generation) }
    } catch (error) {
      // Another request with the same token was faster, so both get the same successor.
      if (error instanceof VersionConflict) return this.use(token)
      throw error
    }
  }

  /** Ends a family. Its tokens don't work any more. */
  async end(family: string): Promise<void> {
    await this.#records.commit([remove(refreshFamilies, family)])
  }

  #tokenOf(id: Buffer, generation: number): string {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(generation)
    return `1.${Buffer.concat([id, number, mac(this.#key, id, generation)]).toString('base64url')}`
  }

  #read(token: string): { id: Buffer; generation: number } | undefined {
    const bytes = /^1\.[\w-]{70}$/.test(token) ? Buffer.from(token.slice(2), 'base64url') : Buffer.alloc(0)
    if (bytes.length !== TOKEN_BYTES) return undefined
    const [id, generation] = [bytes.subarray(0, 16), bytes.readUInt32BE(16)]
    return verifyMac(this.#key, bytes.subarray(20), id, generation) ? { id, generation } : undefined
  }
}

function unusable(): Error {
  const message = 'The refresh token has expired, was used before, or was revoked: sign in again.'
  return loginError('invalid_grant', 700_082, message)
}

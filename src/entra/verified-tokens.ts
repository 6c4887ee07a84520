import { hash, type KeyObject } from 'node:crypto'

const maximumTokens = 1024

export interface VerifiedToken {
  readonly claims: Readonly<Record<string, string>>
  readonly kid: string
  /** The key that its signature fits. */
  readonly publicKey: KeyObject
  /** Seconds since 1970. */
  readonly exp: number
  readonly nbf: number
}

/**
 * Tokens whose signature was verified, so that each is verified once. Times and signing key are compared at every use. The caller checks
 * audience, tenant and principal at every use.
 */
export interface VerifiedTokens {
  /** Undefined when the token has to be verified; verification also says what is wrong with it. */
  get(token: string, now: number, publicKeyOf: (kid: string) => KeyObject | undefined): VerifiedToken | undefined
  add(token: string, verified: VerifiedToken): void
}

/** Remembers digests, not tokens. The oldest is forgotten first. */
export function verifiedTokens(): VerifiedTokens {
  const known = new Map<string, VerifiedToken>()
  return {
    get(token, now, publicKeyOf) {
      const digest = digestOf(token)
      const found = known.get(digest)
      if (found === undefined) return undefined
      const seconds = Math.floor(now / 1000)
      if (found.exp > seconds && found.nbf <= seconds && publicKeyOf(found.kid) === found.publicKey) return found
      known.delete(digest)
      return undefined
    },
    add(token, verified) {
      const oldest = known.size >= maximumTokens ? known.keys().next().value : undefined
      if (oldest !== undefined) known.delete(oldest)
      known.set(digestOf(token), verified)
    },
  }
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64')
}

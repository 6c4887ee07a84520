import { equalSecrets, stretch } from '../crypto/derive.ts'
import type { Env } from '../base/env.ts'
import type { HashedSecret } from './records.ts'

/**
 * Iterations for secrets that we made. They have 128 bits or more, so they need no stretching (NIST SP 800-63B 3.1.2.2 asks for it
 * below 112), and a wrong one must be cheap to check. This is the least that FIPS modules accept.
 */
export const GENERATED_ITERATIONS = 1_000
/** Iterations for passwords, which people choose and others can guess: OWASP's figure for PBKDF2-HMAC-SHA-256 (2023). */
export const CHOSEN_ITERATIONS = 600_000

/** Random text of `bytes` in base64url. It never begins with `-`, since a command line would read that as an option. */
export function newSecretText(env: Pick<Env, 'randomBytes'>, bytes: number): string {
  for (;;) {
    const text = env.randomBytes(bytes).toString('base64url')
    if (!text.startsWith('-')) return text
  }
}

/** A secret as it is kept: salted and stretched with PBKDF2 (NIST SP 800-132). */
export async function hashSecret(env: Env, secret: string, iterations: number): Promise<HashedSecret> {
  const draft = { salt: env.randomBytes(16).toString('base64url'), iterations }
  return { ...draft, hash: await hashOf(secret, draft) }
}

/** Whether this is the secret, in constant time. */
export async function matchesSecret(secret: string, kept: HashedSecret): Promise<boolean> {
  return equalSecrets(await hashOf(secret, kept), kept.hash)
}

async function hashOf(secret: string, kept: Pick<HashedSecret, 'salt' | 'iterations'>): Promise<string> {
  const key = await stretch(secret, Buffer.from(kept.salt, 'base64url'), kept.iterations)
  return key.export().toString('base64url')
}

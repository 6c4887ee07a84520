import { createHmac, createSecretKey, hkdfSync, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { encodeContext } from './encode-context.ts'
import { SealError } from './seal-error.ts'

const EMPTY = new Uint8Array(0)
/** OWASP's figure for PBKDF2-HMAC-SHA-256 (2023). */
const ITERATIONS = 600_000
const comparisonKey = randomBytes(32)

/**
 * HKDF-SHA-256 (RFC 5869) to 32 bytes; the info is the canonical encoding of label and info, so that two labels never meet.
 * @throws SealError BadKey for keys under 16 bytes
 */
export function deriveKey(
  key: KeyObject | Uint8Array,
  label: string,
  info: Uint8Array = EMPTY,
  salt: Uint8Array = EMPTY,
): KeyObject {
  const size = key instanceof Uint8Array ? key.length : (key.symmetricKeySize ?? 0)
  if (size < 16) throw new SealError('BadKey', 'A key to derive from must have 16 bytes or more.')
  const bytes = new Uint8Array(hkdfSync('sha256', key, salt, encodeContext(label, info), 32))
  const derived = createSecretKey(bytes)
  bytes.fill(0)
  return derived
}

/** HMAC-SHA-256 over bytes, or text as UTF-8: 32 bytes. The caller makes sure that no two messages share an encoding. */
export function hmac(key: KeyObject, message: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(message).digest()
}

/**
 * As `deriveKey`, for keys that are overwritten after use: bytes in, bytes out, to be wiped. Node's own HKDF copies its key into a
 * KeyObject, which stays in memory until the garbage collector runs. @throws SealError BadKey for keys under 16 bytes
 */
export function deriveBytes(key: Uint8Array, label: string, info: Uint8Array = EMPTY): Buffer {
  if (key.length < 16) throw new SealError('BadKey', 'A key to derive from must have 16 bytes or more.')
  const extracted = createHmac('sha256', Buffer.alloc(32)).update(key).digest()
  const derived = createHmac('sha256', extracted).update(encodeContext(label, info)).update(Buffer.of(1)).digest()
  extracted.fill(0)
  return derived
}

/** HMAC-SHA-256 over the canonical encoding of the parts: 32 bytes. */
export function mac(key: KeyObject, ...parts: readonly (string | number | Uint8Array)[]): Buffer {
  return createHmac('sha256', key)
    .update(encodeContext(...parts))
    .digest()
}

/** Whether `tag` is the MAC of the parts, compared in constant time. */
export function verifyMac(
  key: KeyObject,
  tag: Uint8Array,
  ...parts: readonly (string | number | Uint8Array)[]
): boolean {
  const expected = mac(key, ...parts)
  return tag.length === expected.length && timingSafeEqual(tag, expected)
}

/** Compares two texts of any length in constant time, by comparing their MACs under a key of this process. */
export function equalSecrets(a: string, b: string): boolean {
  const digest = (text: string) => createHmac('sha256', comparisonKey).update(text, 'utf16le').digest()
  return timingSafeEqual(digest(a), digest(b))
}

/**
 * Stretches a passphrase to a 256-bit key with PBKDF2-HMAC-SHA-256, off the main thread; text is taken in Unicode form NFC.
 * The salt must have 16 bytes or more (NIST SP 800-132). scrypt and argon2 are not FIPS-approved. @throws SealError BadKey
 */
export async function stretch(
  secret: string | Uint8Array,
  salt: Uint8Array,
  iterations = ITERATIONS,
): Promise<KeyObject> {
  if (secret.length === 0) throw new SealError('BadKey', 'The passphrase is empty: give one.')
  if (salt.length < 16) throw new SealError('BadKey', 'The salt of a passphrase must have 16 random bytes or more.')
  if (!Number.isSafeInteger(iterations) || iterations < 1000 || iterations > 100_000_000)
    throw new SealError('BadKey', 'PBKDF2 needs 1,000 to 100,000,000 iterations.')
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const password = typeof secret === 'string' ? secret.normalize('NFC') : secret
    pbkdf2(password, salt, iterations, 32, 'sha256', (error, key) => (error ? reject(error) : resolve(key)))
  })
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

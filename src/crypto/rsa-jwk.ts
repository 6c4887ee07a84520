import { checkPrime, createPrivateKey } from 'node:crypto'
import { KeyError } from './key-error.ts'
import { checkRsaSize, rsaKeyOf } from './rsa-key.ts'
import type { RsaKey } from './rsa-key.ts'

const FIELDS = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const
type Field = (typeof FIELDS)[number]
const BASE64URL = /^[A-Za-z0-9_-]{1,700}$/

function readField(jwk: Readonly<Record<string, unknown>>, field: Field): bigint {
  const text = jwk[field]
  if (typeof text !== 'string' || !BASE64URL.test(text))
    throw new KeyError(
      'BadKey',
      `The field ${field} of the RSA key must be base64url (RFC 7518, 6.3): give n, e, d, p, q, dp, dq and qi.`,
      field,
    )
  return BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`)
}

function isPrime(candidate: bigint): Promise<boolean> {
  return new Promise((resolve, reject) => {
    checkPrime(candidate, { checks: 0 }, (error, prime) => (error ? reject(error) : resolve(prime)))
  })
}

/** The equations of RFC 8017, 3.2. OpenSSL accepts any numbers, and a key of wrong ones leaks its primes with the first answer. */
async function checkNumbers({ n, e, d, p, q, dp, dq, qi }: Record<Field, bigint>): Promise<void> {
  const sound =
    e >= 3n &&
    e % 2n === 1n &&
    e < 2n ** 32n &&
    p > 1n &&
    q > 1n &&
    p !== q &&
    p * q === n &&
    d < n &&
    (e * d) % (p - 1n) === 1n &&
    (e * d) % (q - 1n) === 1n &&
    dp === d % (p - 1n) &&
    dq === d % (q - 1n) &&
    qi < p &&
    (qi * q) % p === 1n
  if (!sound)
    throw new KeyError(
      'BadKey',
      'The numbers of the RSA key do not belong together: export the key again from where it came.',
    )
  if (!(await isPrime(p)) || !(await isPrime(q)))
    throw new KeyError('BadKey', 'The factors of the RSA key are not prime: it is not an RSA key.')
}

/** Imports a private RSA key in JWK form (RFC 7518, 6.3.2) and checks all of its numbers. @throws KeyError BadKey, BadParameter (size) */
export async function importRsaJwk(jwk: Readonly<Record<string, unknown>>): Promise<RsaKey> {
  if (jwk.kty !== 'RSA' && jwk.kty !== 'RSA-HSM')
    throw new KeyError('BadKey', 'The kty of an RSA key is RSA or RSA-HSM.')
  if ('oth' in jwk) throw new KeyError('Unsupported', 'RSA keys with more than two primes are not supported.')
  const numbers = Object.fromEntries(FIELDS.map(field => [field, readField(jwk, field)])) as Record<Field, bigint>
  checkRsaSize(numbers.n.toString(2).length)
  await checkNumbers(numbers)
  const fields = Object.fromEntries(FIELDS.map(field => [field, jwk[field] as string]))
  return rsaKeyOf(createPrivateKey({ key: { kty: 'RSA', ...fields }, format: 'jwk' }))
}

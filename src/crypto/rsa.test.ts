import assert from 'node:assert/strict'
import { constants, createHash, generatePrimeSync, getFips, randomBytes, sign, verify } from 'node:crypto'
import { before, test } from 'node:test'
import { invert } from './ec-curves.ts'
import { KeyError } from './key-error.ts'
import {
  exportPrivate,
  generateRsa,
  importPrivate,
  importRsaJwk,
  publicJwk,
  rsaDecrypt,
  rsaEncrypt,
  rsaSign,
  rsaVerify,
} from './rsa.ts'
import type { RsaEncryption, RsaKey, RsaSignature } from './rsa.ts'

const fips = getFips() === 1
const encryptions: RsaEncryption[] = ['RSA-OAEP', 'RSA-OAEP-256', ...(fips ? [] : ['RSA1_5' as const])]
const signatures: RsaSignature[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const failsWith = (code: string) => (error: unknown) => error instanceof KeyError && error.code === code
let key: RsaKey
let other: RsaKey

before(async () => {
  ;[key, other] = await Promise.all([generateRsa(2048), generateRsa(2048)])
})

test('what was encrypted under the public key decrypts, many at a time', async () => {
  for (const alg of encryptions) {
    const secrets = Array.from({ length: 20 }, () => randomBytes(64))
    const decrypt = async (secret: Buffer) => rsaDecrypt(alg, key, await rsaEncrypt(alg, key.publicKey, secret))
    assert.deepEqual(await Promise.all(secrets.map(decrypt)), secrets)
    assert.equal((await decrypt(Buffer.alloc(0))).length, 0)
  }
})

test('a text that was altered, or encrypted under another key or algorithm, is refused with one message', async () => {
  const text = await rsaEncrypt('RSA-OAEP-256', key, randomBytes(32))
  const altered = Buffer.from(text)
  altered[200]! ^= 1
  await assert.rejects(rsaDecrypt('RSA-OAEP-256', key, altered), failsWith('DecryptionFailed'))
  await assert.rejects(rsaDecrypt('RSA-OAEP-256', other, text), failsWith('DecryptionFailed'))
  await assert.rejects(rsaDecrypt('RSA-OAEP', key, text), failsWith('DecryptionFailed'))
  await assert.rejects(rsaDecrypt('RSA-OAEP-256', key, Buffer.alloc(256, 0xff)), failsWith('DecryptionFailed'))
  for (const size of [0, 255, 257])
    await assert.rejects(rsaDecrypt('RSA-OAEP-256', key, Buffer.alloc(size)), failsWith('BadParameter'))
})

if (fips) {
  test('FIPS mode refuses RSA1_5 by name', async () => {
    const wrapped = await rsaEncrypt('RSA1_5', key, randomBytes(32))
    await assert.rejects(rsaDecrypt('RSA1_5', key, wrapped), failsWith('Unsupported'))
  })
} else {
  test('RSA1_5 answers wrong padding with pseudo-random bytes, the same each time, and never with an error', async () => {
    const text = randomBytes(256)
    text[0] = 0
    const first = await rsaDecrypt('RSA1_5', key, text)
    assert.ok(first.equals(await rsaDecrypt('RSA1_5', key, text)))
  })
}

test('a plaintext that is too long is refused with the number of bytes that fit', async () => {
  for (const [alg, most] of [
    ['RSA-OAEP', 214],
    ['RSA-OAEP-256', 190],
    ['RSA1_5', 245],
  ] as const) {
    await rsaEncrypt(alg, key, Buffer.alloc(most))
    await assert.rejects(rsaEncrypt(alg, key, Buffer.alloc(most + 1)), failsWith('BadParameter'))
  }
})

test('signatures over a digest are those that OpenSSL makes and verifies over the message', async () => {
  for (const alg of signatures) {
    const hash = `sha${alg.slice(2)}`
    const message = randomBytes(100)
    const digest = createHash(hash).update(message).digest()
    const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: digest.length }
    const options = alg.startsWith('PS') ? pss : {}
    const signature = await rsaSign(alg, key, digest)
    assert.ok(verify(hash, message, { key: key.publicKey, ...options }, signature), alg)
    assert.ok(await rsaVerify(alg, key, digest, sign(hash, message, { key: key.privateKey, ...options })), alg)
    assert.ok(await rsaVerify(alg, key.publicKey, digest, signature))
    assert.ok(!(await rsaVerify(alg, other, digest, signature)))
    assert.ok(!(await rsaVerify(alg, key, randomBytes(digest.length), signature)))
    assert.ok(!(await rsaVerify(alg, key, digest, signature.subarray(1))))
    assert.ok(!(await rsaVerify(alg, key, digest, Buffer.alloc(256, 0xff))))
    for (const wrong of signatures.filter(name => name !== alg && name.endsWith(alg.slice(2)))) {
      assert.ok(!(await rsaVerify(wrong, key, digest, signature)))
    }
    await assert.rejects(rsaSign(alg, key, randomBytes(20)), failsWith('BadParameter'))
  }
  await assert.rejects(rsaSign('ES256' as RsaSignature, key, randomBytes(32)), failsWith('Unsupported'))
  await assert.rejects(rsaSign('RS1' as RsaSignature, key, randomBytes(20)), failsWith('Unsupported'))
})

test('a private key survives PKCS#8 and JWK', async () => {
  const again = importPrivate(exportPrivate(key))
  assert.deepEqual(publicJwk(again), publicJwk(key))
  assert.deepEqual(Object.keys(publicJwk(key)).sort(), ['e', 'kty', 'n'])
  const fromJwk = await importRsaJwk({ ...key.privateKey.export({ format: 'jwk' }) })
  assert.deepEqual(publicJwk(fromJwk), publicJwk(key))
  assert.throws(() => importPrivate(Buffer.from('no key')), failsWith('BadKey'))
  await assert.rejects(generateRsa(1024), failsWith('BadParameter'))
  await assert.rejects(generateRsa(2048, 4), failsWith('BadParameter'))
})

test('a JWK whose numbers do not belong together is refused', async () => {
  const jwk = { ...key.privateKey.export({ format: 'jwk' }) } as Record<string, unknown>
  const strange = { ...other.privateKey.export({ format: 'jwk' }) } as Record<string, unknown>
  for (const field of ['n', 'd', 'p', 'q', 'dp', 'dq', 'qi']) {
    await assert.rejects(importRsaJwk({ ...jwk, [field]: strange[field] }), failsWith('BadKey'), field)
    await assert.rejects(importRsaJwk({ ...jwk, [field]: undefined }), failsWith('BadKey'), field)
  }
  // The smallest change, which another key's number need not be.
  for (const field of ['d', 'dp', 'dq', 'qi']) {
    const bytes = Buffer.from(String(jwk[field]), 'base64url')
    bytes[bytes.length - 1]! ^= 2
    await assert.rejects(importRsaJwk({ ...jwk, [field]: bytes.toString('base64url') }), failsWith('BadKey'), field)
  }
  for (const e of ['AQ', 'AA', 'Ag', '', '*']) await assert.rejects(importRsaJwk({ ...jwk, e }), failsWith('BadKey'))
  await assert.rejects(importRsaJwk({ ...jwk, kty: 'EC' }), failsWith('BadKey'))
  await assert.rejects(importRsaJwk({ ...jwk, oth: [] }), failsWith('Unsupported'))
})

test('factors that are not prime are refused, though every equation of RFC 8017 holds', async () => {
  const prime = (bits: number) => generatePrimeSync(bits, { bigint: true })
  const text = (value: bigint) => {
    const digits = value.toString(16)
    return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex').toString('base64url')
  }
  const e = 65_537n
  for (;;) {
    const p = prime(512) * prime(512)
    const q = prime(1024)
    const d = invert(e, (p - 1n) * (q - 1n))
    // Try again when e has no inverse or the size is not one of ours.
    if ((d * e) % ((p - 1n) * (q - 1n)) !== 1n || (p * q).toString(2).length !== 2048) continue
    const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: invert(q, p) }
    const fields = Object.entries(numbers).map(([field, value]) => [field, text(value)])
    await assert.rejects(importRsaJwk({ kty: 'RSA', ...Object.fromEntries(fields) }), /not prime/)
    return
  }
})

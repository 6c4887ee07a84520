import assert from 'node:assert/strict'
import { createHash, getFips, randomBytes, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { CURVES } from './ec-curves.ts'
import { ecPublicJwk, ecSign, ecVerify, exportEcPrivate, generateEc, importEcJwk, importEcPrivate } from './ec.ts'
import type { EcSignature } from './ec.ts'
import { KeyError } from './key-error.ts'

const algorithms = [
  { alg: 'ES256', curve: 'P-256', hash: 'sha256' },
  { alg: 'ES384', curve: 'P-384', hash: 'sha384' },
  { alg: 'ES512', curve: 'P-521', hash: 'sha512' },
  { alg: 'ES256K', curve: 'P-256K', hash: 'sha256' },
] as const
const failsWith = (code: string) => (error: unknown) => error instanceof KeyError && error.code === code

for (const { alg, curve, hash } of algorithms) {
  const options = { skip: curve === 'P-256K' && getFips() === 1 && 'a FIPS provider does not have P-256K' }

  test(
    `${alg}: signatures over a digest are those that OpenSSL verifies over the message, and the reverse`,
    options,
    async () => {
      for (let round = 0; round < 3; round++) {
        const key = await generateEc(curve)
        const message = randomBytes(round * 50)
        const digest = createHash(hash).update(message).digest()
        const signature = await ecSign(alg, key, digest)
        const asJose = { dsaEncoding: 'ieee-p1363' } as const
        assert.ok(verify(hash, message, { key: key.publicKey, ...asJose }, signature))
        assert.ok(await ecVerify(alg, key, digest, sign(hash, message, { key: key.privateKey, ...asJose })))
        assert.notDeepEqual(await ecSign(alg, key, digest), signature)
        const altered = Buffer.from(signature)
        altered[signature.length - 1]! ^= 1
        assert.ok(!(await ecVerify(alg, key, digest, altered)))
        assert.ok(!(await ecVerify(alg, key, randomBytes(digest.length), signature)))
        assert.ok(!(await ecVerify(alg, await generateEc(curve), digest, signature)))
      }
    },
  )

  test(`${alg}: r and s must lie between 1 and n - 1`, options, async () => {
    const key = await generateEc(curve)
    const { n, bytes } = CURVES[curve]
    const size = alg === 'ES512' ? 64 : bytes
    const encode = (value: bigint) => Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex')
    for (const r of [0n, 1n, n - 1n, n]) {
      for (const s of [0n, 1n, n - 1n, n]) {
        assert.ok(!(await ecVerify(alg, key, randomBytes(size), Buffer.concat([encode(r), encode(s)]))))
      }
    }
    assert.ok(!(await ecVerify(alg, key, randomBytes(size), Buffer.alloc(0))))
    await assert.rejects(ecSign(alg, key, randomBytes(20)), failsWith('BadParameter'))
  })

  test(
    `${curve}: a private key survives PKCS#8 and JWK, and a point that does not belong to d is refused`,
    options,
    async () => {
      const [key, other] = await Promise.all([generateEc(curve), generateEc(curve)])
      assert.deepEqual(ecPublicJwk(importEcPrivate(exportEcPrivate(key))), ecPublicJwk(key))
      const { d } = key.privateKey.export({ format: 'jwk' })
      const jwk = { ...ecPublicJwk(key), d }
      assert.deepEqual(ecPublicJwk(importEcJwk(jwk)), ecPublicJwk(key))
      assert.throws(() => importEcJwk({ ...ecPublicJwk(other), d }), failsWith('BadKey'))
      assert.throws(() => importEcJwk({ ...jwk, y: ecPublicJwk(other).y }), failsWith('BadKey'))
      assert.throws(() => importEcJwk({ ...jwk, d: undefined }), failsWith('BadKey'))
      assert.throws(
        () => importEcJwk({ ...jwk, d: Buffer.alloc(CURVES[curve].bytes).toString('base64url') }),
        failsWith('BadKey'),
      )
      assert.throws(() => importEcJwk({ ...jwk, crv: 'P-224' }), failsWith('BadParameter'))
    },
  )
}

test('an algorithm of another curve is refused', async () => {
  const key = await generateEc('P-256')
  await assert.rejects(ecSign('ES256K', key, randomBytes(32)), failsWith('Unsupported'))
  await assert.rejects(ecSign('RS256' as EcSignature, key, randomBytes(32)), failsWith('Unsupported'))
  await assert.rejects(generateEc('P-224' as 'P-256'), failsWith('BadParameter'))
})

import assert from 'node:assert/strict'
import { createHash, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { compactVerify } from 'jose'
import type { JWK } from 'jose'
import { ecVerify, importEcJwk } from '../../src/crypto/ec.ts'
import { rsaVerify } from '../../src/crypto/rsa.ts'
import type { RsaSignature } from '../../src/crypto/rsa.ts'
import { accepted, load } from './wycheproof.ts'
import type { Case } from './wycheproof.ts'

interface JwsGroup {
  private: JWK
  public?: JWK
  tests: (Case & { jws: string })[]
}

const file = load<JwsGroup>('json_web_signature_test')

/** Cases whose key names another algorithm than the token (PS256 for PS384, or ES521, which does not exist): a mismatch is refused. */
const MISMATCHED = [346, 347, 350, 351]
/** jose reads base64url after the WHATWG rules: white space and padding count for nothing. The signature still covers every character. */
const LENIENT = [360, 365, 367, 368, 370, 375]
/** Characters outside of the alphabet: Wycheproof expects them to be skipped, RFC 7515 does not allow them. */
const STRICT = [372, 373]

test('Wycheproof JSON Web Signature: jose, which reads our tokens, decides every case as expected or as listed', async () => {
  const differing: number[] = []
  let cases = 0
  for (const group of file.testGroups) {
    const key = group.public ?? group.private
    const options = key.alg === undefined ? {} : { algorithms: [key.alg] }
    for (const { tcId, jws, result } of group.tests) {
      const verified = await accepted(() => compactVerify(jws, key, options))
      if ((verified !== undefined) !== (result === 'valid')) differing.push(tcId)
      cases++
    }
  }
  assert.deepEqual(
    differing,
    [...MISMATCHED, ...LENIENT, ...STRICT].sort((a, b) => a - b),
  )
  assert.equal(cases, file.numberOfTests)
})

const PART = /^[A-Za-z0-9_-]*$/

/** RFC 7515, 5.2 over our own digest signatures. */
async function verifies(jws: string, { private: secret, public: key }: JwsGroup): Promise<boolean> {
  const parts = jws.split('.')
  if (parts.length !== 3 || !parts.every(part => PART.test(part))) return false
  const [header, payload, signature] = parts as [string, string, string]
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg: string }
  if (alg !== key?.alg) return false
  const digest = createHash(`sha${alg.slice(2)}`)
    .update(`${header}.${payload}`)
    .digest()
  const bytes = Buffer.from(signature, 'base64url')
  if (bytes.toString('base64url') !== signature) return false
  if (key.kty === 'EC') return ecVerify('ES256', importEcJwk({ ...secret }), digest, bytes)
  return rsaVerify(alg as RsaSignature, createPublicKey({ key: { ...key }, format: 'jwk' }), digest, bytes)
}

test('Wycheproof JSON Web Signature: our digest signatures decide every RSA and EC case as expected', async () => {
  let cases = 0
  let skipped = 0
  for (const group of file.testGroups) {
    for (const { tcId, jws, result } of group.tests) {
      // Skipped here: HMAC tokens, and cases of the key's `alg` and `use`, which are jose's business and ran above.
      if (group.public?.kty === undefined || group.public.alg === undefined || MISMATCHED.includes(tcId)) {
        skipped++
        continue
      }
      assert.equal((await accepted(() => verifies(jws, group))) ?? false, result === 'valid', `case ${tcId}`)
      cases++
    }
  }
  assert.deepEqual([cases, skipped], [353, 48])
})

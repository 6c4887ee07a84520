import assert from 'node:assert/strict'
import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { oaepDecode } from '../../src/crypto/oaep.ts'
import { rsaKeyOf } from '../../src/crypto/rsa-key.ts'
import { rsaDecrypt } from '../../src/crypto/rsa.ts'
import { accepted, hex, load } from './wycheproof.ts'
import type { Case } from './wycheproof.ts'

interface OaepGroup {
  sha: string
  mgfSha: string
  privateKeyPkcs8: string
  tests: (Case & { msg: string; ct: string; label: string })[]
}

/** As for a PKCS #11 token with only the raw operation: OpenSSL does that, and oaepDecode removes the padding. */
function bareThenDecoded(key: KeyObject, alg: 'RSA-OAEP' | 'RSA-OAEP-256', ciphertext: Buffer): Buffer | undefined {
  const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext)
  return oaepDecode(alg === 'RSA-OAEP' ? 'sha1' : 'sha256', block)
}

// SHA-1 and SHA-256 without a label are Key Vault's RSA-OAEP and RSA-OAEP-256 and go through rsaDecrypt; other hashes and labels go to the
// OpenSSL below it.
for (const [vectors, expected] of [
  ['rsa_oaep_2048_sha1_mgf1sha1_test', { ours: 29, openssl: 7, skipped: 0 }],
  ['rsa_oaep_2048_sha256_mgf1sha256_test', { ours: 29, openssl: 8, skipped: 0 }],
  ['rsa_oaep_misc_test', { ours: 30, openssl: 65, skipped: 300 }],
] as const) {
  test(`Wycheproof ${vectors}: every case that Key Vault's algorithms or OpenSSL can express`, async () => {
    const file = load<OaepGroup>(vectors)
    const counts = { ours: 0, openssl: 0, skipped: 0 }
    for (const { sha, mgfSha, privateKeyPkcs8, tests } of file.testGroups) {
      const privateKey = createPrivateKey({ key: hex(privateKeyPkcs8), format: 'der', type: 'pkcs8' })
      const oaepHash = sha.replace('SHA-', 'sha')
      const alg = sha === 'SHA-1' ? 'RSA-OAEP' : sha === 'SHA-256' ? 'RSA-OAEP-256' : undefined
      for (const { tcId, msg, ct, label, result } of tests) {
        // Skipped: node:crypto takes one hash for both OAEP and MGF1, and Key Vault has no algorithm with two.
        if (sha !== mgfSha) {
          counts.skipped++
          continue
        }
        const ours = alg !== undefined && label === ''
        counts[ours ? 'ours' : 'openssl']++
        const opened = await accepted(() =>
          ours
            ? rsaDecrypt(alg, rsaKeyOf(privateKey), hex(ct))
            : privateDecrypt(
                { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash, oaepLabel: hex(label) },
                hex(ct),
              ),
        )
        if (result !== 'acceptable')
          assert.equal(opened?.toString('hex'), result === 'valid' ? msg : undefined, `case ${tcId}`)
        else assert.ok(opened === undefined || opened.toString('hex') === msg, `case ${tcId}`)
        if (ours) assert.deepEqual(await accepted(async () => bareThenDecoded(privateKey, alg, hex(ct))), opened)
      }
    }
    assert.deepEqual(counts, expected)
  })
}

import assert from 'node:assert/strict'
import { createDecipheriv, createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { octDecrypt } from '../../src/crypto/oct.ts'
import type { OctEncryption } from '../../src/crypto/oct.ts'
import { accepted, hex, load } from './wycheproof.ts'
import type { Case } from './wycheproof.ts'

interface GcmCase extends Case {
  key: string
  iv: string
  aad: string
  msg: string
  ct: string
  tag: string
}

interface GcmGroup {
  ivSize: number
  keySize: 128 | 192 | 256
  tests: GcmCase[]
}

const file = load<GcmGroup>('aes_gcm_test')

test('Wycheproof AES-GCM: octet keys open every case with a 96-bit IV and refuse every other IV', async () => {
  let cases = 0
  for (const { ivSize, keySize, tests } of file.testGroups) {
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of tests) {
      const text = { iv: hex(iv), ciphertext: hex(ct), tag: hex(tag) }
      const alg: OctEncryption = `A${keySize}GCM`
      const opened = await accepted(() => octDecrypt(alg, createSecretKey(hex(key)), text, hex(aad)))
      // Other lengths are legal GCM, but no key of ours ever takes them (NIST SP 800-38D, 5.2.1.1 recommends 96 bits).
      const expected = result === 'valid' && ivSize === 96 ? msg : undefined
      assert.equal(opened?.toString('hex'), expected, `case ${tcId}`)
      cases++
    }
  }
  assert.equal(cases, file.numberOfTests)
})

test('Wycheproof AES-GCM: the OpenSSL below agrees with every case of every IV length but one', async () => {
  let cases = 0
  let skipped = 0
  for (const { ivSize, tests } of file.testGroups) {
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of tests) {
      // Skipped: node:crypto refuses IVs of 257 bytes (2056 bits), which are valid GCM.
      if (ivSize === 2056) {
        skipped++
        continue
      }
      const opened = await accepted(() => {
        const algorithm = `aes-${key.length * 4}-gcm` as 'aes-256-gcm'
        const decipher = createDecipheriv(algorithm, hex(key), hex(iv), { authTagLength: 16 })
        decipher.setAAD(hex(aad)).setAuthTag(hex(tag))
        return Buffer.concat([decipher.update(hex(ct)), decipher.final()])
      })
      assert.equal(opened?.toString('hex'), result === 'valid' ? msg : undefined, `case ${tcId}`)
      cases++
    }
  }
  assert.deepEqual([cases, skipped], [file.numberOfTests - 3, 3])
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { KeyError } from './key-error.ts'
import { octDecrypt, octEncrypt } from './oct.ts'
import type { OctEncryption } from './oct.ts'

const failsWith = (code: string) => (error: unknown) => error instanceof KeyError && error.code === code

for (const bits of [128, 192, 256] as const) {
  const key = createSecretKey(randomBytes(bits / 8))

  test(`A${bits}GCM opens what it encrypted, with the same additional data only`, () => {
    const alg = `A${bits}GCM` as const
    const additionalData = Buffer.from('about')
    const text = octEncrypt(alg, key, Buffer.from('secret'), { additionalData })
    const { iv, ciphertext, tag } = text
    assert.ok(tag)
    assert.equal(octDecrypt(alg, key, { iv, ciphertext, tag }, additionalData).toString(), 'secret')
    assert.throws(() => octDecrypt(alg, key, { iv, ciphertext, tag }), failsWith('DecryptionFailed'))
    assert.throws(
      () => octDecrypt(alg, key, { iv, ciphertext, tag: tag.subarray(0, 4) }, additionalData),
      failsWith('BadParameter'),
    )
    assert.throws(() => octDecrypt(alg, key, { iv, ciphertext }), failsWith('BadParameter'))
    for (const size of [0, 1, 8, 11, 13, 16])
      assert.throws(
        () => octDecrypt(alg, key, { iv: Buffer.alloc(size), ciphertext, tag }, additionalData),
        failsWith('BadParameter'),
      )
    assert.throws(() => octEncrypt(alg, key, Buffer.from('secret'), { iv }), failsWith('BadParameter'))
  })

  test(`A${bits}CBC takes whole blocks, A${bits}CBCPAD any length`, () => {
    const iv = randomBytes(16)
    for (const size of [0, 15, 16, 33]) {
      const data = randomBytes(size)
      const text = octEncrypt(`A${bits}CBCPAD`, key, data, { iv })
      assert.ok(octDecrypt(`A${bits}CBCPAD`, key, text).equals(data))
    }
    const block = randomBytes(32)
    const text = octEncrypt(`A${bits}CBC`, key, block)
    assert.equal(text.ciphertext.length, 32)
    assert.ok(octDecrypt(`A${bits}CBC`, key, text).equals(block))
    assert.throws(() => octEncrypt(`A${bits}CBC`, key, Buffer.alloc(15)), failsWith('BadParameter'))
    assert.throws(() => octEncrypt(`A${bits}CBC`, key, block, { iv: Buffer.alloc(12) }), failsWith('BadParameter'))
    assert.throws(() => octEncrypt(`A${bits}CBC`, key, block, { additionalData: iv }), failsWith('BadParameter'))
    assert.throws(
      () => octDecrypt(`A${bits}CBCPAD`, key, { iv, ciphertext: Buffer.alloc(15) }),
      failsWith('BadParameter'),
    )
    assert.throws(
      () => octDecrypt(`A${bits}CBCPAD`, key, { iv, ciphertext: Buffer.alloc(0) }),
      failsWith('DecryptionFailed'),
    )
  })
}

test('an algorithm of another size or family is refused', () => {
  const key = createSecretKey(randomBytes(16))
  assert.throws(() => octEncrypt('A256GCM', key, Buffer.alloc(1)), failsWith('BadKey'))
  assert.throws(() => octEncrypt('RSA-OAEP' as OctEncryption, key, Buffer.alloc(1)), failsWith('Unsupported'))
  assert.throws(() => octEncrypt('A128GCM-SIV' as OctEncryption, key, Buffer.alloc(1)), failsWith('Unsupported'))
})

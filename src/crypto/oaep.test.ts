import assert from 'node:assert/strict'
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { oaepDecode } from './oaep.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

function block(hash: 'sha1' | 'sha256', message: Uint8Array): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const ciphertext = publicEncrypt({ key: publicKey, padding, oaepHash: hash }, message)
  return privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, ciphertext)
}

test("a block of OpenSSL's OAEP decodes to its message, from the empty to the longest one", () => {
  for (const [hash, longest] of [
    ['sha1', 214],
    ['sha256', 190],
  ] as const) {
    for (const length of [0, 1, 32, 64, longest - 1, longest]) {
      const message = randomBytes(length)
      assert.deepEqual(oaepDecode(hash, block(hash, message)), message)
    }
    assert.deepEqual(oaepDecode(hash, block(hash, Buffer.alloc(20))), Buffer.alloc(20))
    assert.deepEqual(oaepDecode(hash, block(hash, Buffer.alloc(20, 1))), Buffer.alloc(20, 1))
  }
})

test('a block with an altered byte, another hash or another length does not decode', () => {
  const sound = block('sha256', Buffer.from('secret'))
  for (let at = 0; at < sound.length; at++) {
    const altered = Buffer.from(sound)
    altered[at]! ^= 1 << (at % 8)
    assert.equal(oaepDecode('sha256', altered), undefined, `byte ${at}`)
  }
  assert.equal(oaepDecode('sha1', sound), undefined)
  assert.equal(oaepDecode('sha256', sound.subarray(1)), undefined)
  assert.equal(oaepDecode('sha256', Buffer.alloc(65)), undefined)
  assert.equal(oaepDecode('sha256', Buffer.alloc(256)), undefined)
})

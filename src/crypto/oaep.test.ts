import assert from 'node:assert/strict'
import { constants, createHash, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { mgf1 } from './mgf1.ts'
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

/** EME-OAEP encoding (RFC 8017, 7.1.1) of whatever stands in the place of the data block, which `change` may spoil before it is masked. */
function encoded(change: (data: Buffer) => void, first = 0): Buffer {
  const label = createHash('sha256').digest()
  const data = Buffer.concat([label, Buffer.alloc(256 - 66 - 6), Buffer.of(1), Buffer.from('secret')])
  change(data)
  const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))
  const seed = randomBytes(32)
  const maskedData = xor(data, mgf1('sha256', seed, data.length))
  return Buffer.concat([Buffer.of(first), xor(seed, mgf1('sha256', maskedData, 32)), maskedData])
}

test('each part of a block is looked at by itself: its first byte, the hash of the label, the zeros, the one', () => {
  assert.equal(
    oaepDecode(
      'sha256',
      encoded(() => {}),
    )?.toString(),
    'secret',
  )
  assert.equal(
    oaepDecode(
      'sha256',
      encoded(() => {}, 1),
    ),
    undefined,
    'first byte',
  )
  const end = 256 - 33 - 7
  for (let at = 0; at < end; at++)
    assert.equal(
      oaepDecode(
        'sha256',
        encoded(data => (data[at]! ^= 2)),
      ),
      undefined,
      `byte ${at}`,
    )
  assert.equal(
    oaepDecode(
      'sha256',
      encoded(data => data.fill(0, 32)),
    ),
    undefined,
    'no one, and no message',
  )
  assert.equal(
    oaepDecode(
      'sha256',
      encoded(data => data.fill(1, end, end + 1).fill(0, end + 1)),
    )?.length,
    6,
  )
})

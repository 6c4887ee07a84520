import assert from 'node:assert/strict'
import { createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { deriveBytes, deriveKey, equalSecrets, mac, stretch, verifyMac } from './derive.ts'
import { SealError } from './seal-error.ts'
import { encodeContext } from './wrap.ts'

const root = createSecretKey(randomBytes(32))

test('a derived key is HKDF-SHA-256 over the canonical encoding of label and info', () => {
  const info = Buffer.from('info')
  const salt = randomBytes(32)
  const expected = Buffer.from(hkdfSync('sha256', root, salt, encodeContext('label', info), 32))
  assert.ok(deriveKey(root, 'label', info, salt).export().equals(expected))
  assert.ok(deriveKey(root.export(), 'label', info, salt).export().equals(expected))
})

test('label, info, salt and key each give another key', () => {
  const bytes = Buffer.from('x')
  const keys = [
    deriveKey(root, 'a'),
    deriveKey(root, 'b'),
    deriveKey(root, 'a', bytes),
    deriveKey(root, 'ax'),
    deriveKey(root, 'a', undefined, bytes),
    deriveKey(createSecretKey(randomBytes(32)), 'a'),
  ]
  assert.equal(new Set(keys.map(key => key.export().toString('hex'))).size, keys.length)
  assert.throws(() => deriveKey(randomBytes(15), 'a'), SealError)
})

test('a key that is overwritten after use is derived as every other one', () => {
  for (const size of [16, 32, 64, 65]) {
    const bytes = randomBytes(size)
    for (const info of [undefined, Buffer.from('info')])
      assert.ok(
        deriveKey(bytes, 'label', info)
          .export()
          .equals(deriveBytes(bytes, 'label', info)),
      )
  }
  assert.throws(() => deriveBytes(randomBytes(15), 'label'), SealError)
})

test('a MAC holds for exactly its parts', () => {
  const tag = mac(root, 'row', 'account-1', 1, Buffer.from('wrapped'))
  assert.equal(tag.length, 32)
  assert.ok(verifyMac(root, tag, 'row', 'account-1', 1, Buffer.from('wrapped')))
  assert.ok(!verifyMac(root, tag, 'row', 'account-1', 2, Buffer.from('wrapped')))
  assert.ok(!verifyMac(root, tag, 'rowaccount-1', 1, Buffer.from('wrapped')))
  assert.ok(!verifyMac(root, tag.subarray(0, 31), 'row', 'account-1', 1, Buffer.from('wrapped')))
  assert.ok(!verifyMac(root, Buffer.alloc(0), 'row'))
  assert.ok(!verifyMac(createSecretKey(randomBytes(32)), tag, 'row', 'account-1', 1, Buffer.from('wrapped')))
})

test('secrets of any length compare like their characters', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => equalSecrets(a, b) === (a === b) && equalSecrets(a, a)))
  assert.ok(!equalSecrets('', 'a'))
  assert.ok(!equalSecrets('\ud800', '\udfff'))
})

test('a passphrase is stretched with PBKDF2-HMAC-SHA-256, alike in both Unicode forms', async () => {
  const salt = Buffer.from('0123456789abcdef')
  const key = await stretch('Grün', salt, 1000)
  assert.equal(key.symmetricKeySize, 32)
  assert.ok((await stretch('Gru\u0308n', salt, 1000)).equals(key))
  assert.ok(!(await stretch('Grun', salt, 1000)).equals(key))
  assert.ok(!(await stretch('Grün', salt, 1001)).equals(key))
  await assert.rejects(stretch('', salt), SealError)
  await assert.rejects(stretch('secret', Buffer.alloc(8)), SealError)
  await assert.rejects(stretch('secret', salt, 10), SealError)
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { openBox, sealBox } from './box.ts'
import { SealError } from './seal-error.ts'
import {
  aesKwUnwrap,
  aesKwWrap,
  aesKwpUnwrap,
  aesKwpWrap,
  encodeContext,
  newDataKey,
  unwrap,
  wipe,
  wrap,
} from './wrap.ts'

const kek = createSecretKey(randomBytes(32))
const other = createSecretKey(randomBytes(32))
const about = encodeContext('account-1', 'key', 1)
const failsWith = (code: string) => (error: unknown) => error instanceof SealError && error.code === code

test('a wrapped key unwraps under its key and its associated data only, and every flipped bit is refused', () => {
  for (const size of [32, 64]) {
    const key = randomBytes(size)
    const wrapped = wrap(kek, key, about)
    assert.equal(wrapped.length, size + 29)
    assert.ok(unwrap(kek, wrapped, about).equals(key))
    assert.throws(() => unwrap(other, wrapped, about), failsWith('Tampered'))
    assert.throws(() => unwrap(kek, wrapped, encodeContext('account-1', 'key', 2)), failsWith('Tampered'))
    for (let bit = 0; bit < wrapped.length * 8; bit++) {
      const flipped = Buffer.from(wrapped)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      assert.throws(() => unwrap(kek, flipped, about), SealError)
    }
  }
})

test('wrap and unwrap take keys of 32 and 64 bytes only', () => {
  for (const size of [0, 16, 31, 33, 48, 65])
    assert.throws(() => wrap(kek, randomBytes(size), about), failsWith('BadLength'))
  const wrapped = wrap(kek, randomBytes(32), about)
  for (const size of [0, 1, 28, 29, 60])
    assert.throws(() => unwrap(kek, wrapped.subarray(0, size), about), failsWith('BadLength'))
  assert.throws(() => wrap(createSecretKey(randomBytes(16)), randomBytes(32), about), failsWith('BadKey'))
})

test('a key of another size than 32 bytes seals and opens nothing, as bytes and as KeyObject', () => {
  const box = sealBox(kek, about, Buffer.from('secret'))
  for (const size of [0, 16, 24, 31, 33, 64])
    for (const wrong of [randomBytes(size), createSecretKey(randomBytes(size))]) {
      assert.throws(() => sealBox(wrong, about, Buffer.from('secret')), failsWith('BadKey'), `${size} bytes`)
      assert.throws(() => openBox(wrong, about, box), failsWith('BadKey'), `${size} bytes`)
    }
})

test('two wraps of one key differ', () => {
  const key = newDataKey()
  assert.equal(key.length, 32)
  assert.notDeepEqual(wrap(kek, key, about), wrap(kek, key, about))
  wipe(key)
  assert.ok(key.every(byte => byte === 0))
})

test('a box opens under its key and its associated data only, and never as a wrapped key', () => {
  const secret = randomBytes(32)
  const box = sealBox(kek, about, secret)
  assert.ok(openBox(kek, about, box).equals(secret))
  assert.throws(() => unwrap(kek, box, about), failsWith('Tampered'))
  assert.throws(() => openBox(kek, about, wrap(kek, secret, about)), failsWith('Tampered'))
  assert.throws(() => openBox(other, about, box), failsWith('Tampered'))
  assert.throws(() => openBox(kek, Buffer.alloc(0), box), failsWith('Tampered'))
  assert.throws(() => openBox(kek, about, box.subarray(0, 28)), failsWith('Truncated'))
  assert.throws(() => openBox(kek, about, Buffer.concat([Buffer.of(2), box.subarray(1)])), failsWith('BadHeader'))
  assert.throws(() => sealBox(kek, about, Buffer.alloc(2 ** 20 + 1)), failsWith('TooLarge'))
  assert.equal(openBox(kek, about, sealBox(kek, about, Buffer.alloc(0))).length, 0)
})

test('AES key wrap refuses an empty wrapped key, which OpenSSL would open, and every wrong length', () => {
  for (const bytes of [16, 24, 32]) {
    const key = createSecretKey(randomBytes(bytes))
    for (const size of [0, 8, 16, 23, 25, 31])
      assert.throws(() => aesKwUnwrap(key, Buffer.alloc(size)), failsWith('BadLength'))
    for (const size of [0, 8, 15, 17]) assert.throws(() => aesKwWrap(key, Buffer.alloc(size)), failsWith('BadLength'))
    for (const size of [0, 8, 15, 17])
      assert.throws(() => aesKwpUnwrap(key, Buffer.alloc(size)), failsWith('BadLength'))
    assert.throws(() => aesKwpWrap(key, Buffer.alloc(0)), failsWith('BadLength'))
    for (const wrap of [aesKwWrap, aesKwpWrap]) {
      assert.equal(wrap(key, Buffer.alloc(65_536)).length, 65_544)
      assert.throws(() => wrap(key, Buffer.alloc(65_544)), failsWith('BadLength'))
    }
    for (const unwrapping of [aesKwUnwrap, aesKwpUnwrap]) {
      assert.throws(() => unwrapping(key, Buffer.alloc(65_544)), failsWith('Tampered'))
      assert.throws(() => unwrapping(key, Buffer.alloc(65_552)), failsWith('BadLength'))
    }
    const secret = randomBytes(33)
    assert.ok(aesKwpUnwrap(key, aesKwpWrap(key, secret)).equals(secret))
    const wrapped = aesKwWrap(key, randomBytes(32))
    wrapped[0]! ^= 1
    assert.throws(() => aesKwUnwrap(key, wrapped), failsWith('Tampered'))
  }
})

test('no two lists have one canonical encoding', () => {
  const part = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.nat(),
    fc.uint8Array({ maxLength: 6 }).map(bytes => Buffer.from(bytes)),
  )
  const list = fc.array(part, { maxLength: 4 })
  const name = (parts: (string | number | Uint8Array)[]) =>
    JSON.stringify(
      parts.map(value => (value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value)),
    )
  fc.assert(
    fc.property(list, list, (a, b) => encodeContext(...a).equals(encodeContext(...b)) === (name(a) === name(b))),
  )
  const alike = [['ab'], ['a', 'b'], ['', 'ab'], [Buffer.from('ab')], ['1'], [1], [], [''], [0], [Buffer.alloc(8)]]
  assert.equal(new Set(alike.map(parts => encodeContext(...parts).toString('hex'))).size, alike.length)
  // A part that holds what would follow it.
  for (const next of ['b', 1, Buffer.from('b')]) {
    const [whole, two] = [
      encodeContext(Buffer.concat([Buffer.from('a'), encodeContext(next)])),
      encodeContext(Buffer.from('a'), next),
    ]
    assert.equal(whole.length, two.length)
    assert.ok(!whole.equals(two))
  }
  for (const bad of [-1, 1.5, Number.NaN, 2 ** 53, '\udc00'])
    assert.throws(() => encodeContext(bad), failsWith('BadContext'))
})

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { verifiedTokens } from './verified-tokens.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const verified = { claims: { oid: 'o' }, kid: 'k', publicKey, nbf: 100, exp: 200 }

test('a verified token is known within its times and while its key stays the same', () => {
  const tokens = verifiedTokens()
  const key = (): typeof publicKey => publicKey
  tokens.add('t', verified)
  assert.equal(tokens.get('t', 150_000, key), verified)
  assert.equal(tokens.get('t2', 150_000, key), undefined)
  for (const [now, keyOf] of [
    [99_999, key],
    [200_000, key],
    [150_000, () => undefined],
    [150_000, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey],
  ] as const) {
    tokens.add('t', verified)
    assert.equal(tokens.get('t', now, keyOf), undefined)
    assert.equal(tokens.get('t', 150_000, key), undefined, 'and is forgotten')
  }
})

test('only so many tokens are remembered', () => {
  const tokens = verifiedTokens()
  for (let n = 0; n < 2000; n++) tokens.add(`t${n}`, verified)
  assert.equal(
    tokens.get('t0', 150_000, () => publicKey),
    undefined,
  )
  assert.equal(
    tokens.get('t1999', 150_000, () => publicKey),
    verified,
  )
})

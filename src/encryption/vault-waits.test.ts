import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryAfterMs, VaultWaits } from './vault-waits.ts'

const headers = (of: Record<string, string>) => new Map(Object.entries(of))

test('an answer says how long to wait in seconds, in milliseconds, or by a date', () => {
  assert.equal(retryAfterMs(headers({ 'retry-after': '7' })), 7000)
  assert.equal(retryAfterMs(headers({ 'retry-after-ms': '70' })), 70)
  assert.equal(retryAfterMs(headers({ 'retry-after': '7', 'x-ms-retry-after-ms': '70' })), 70)
  const now = Date.parse('2026-11-29T01:00:00Z')
  assert.equal(retryAfterMs(headers({ 'retry-after': 'Sun, 29 Nov 2026 01:00:05 GMT' }), now), 5000)
  assert.equal(retryAfterMs(headers({ 'retry-after': 'Sun, 29 Nov 2026 00:00:00 GMT' }), now), 0)
  for (const strange of [{}, { 'retry-after': '-1' }, { 'retry-after': 'soon' }, { 'retry-after': '1'.repeat(99) }])
    assert.equal(retryAfterMs(headers(strange)), undefined)
})

test('a vault is left alone for as long as it says, a minute at most, for all of its keys', () => {
  let now = 1000
  const waits = new VaultWaits(() => now)
  waits.note('https://kv.example.org:8443', 2000)
  assert.equal(waits.left('https://kv.example.org:8443/'), 2000)
  assert.equal(waits.left('https://kv.example.org/'), 0)
  now += 2000
  assert.equal(waits.left('https://kv.example.org:8443'), 0)
  waits.note('https://kv.example.org', 86_400_000)
  assert.equal(waits.left('https://kv.example.org'), 60_000)
})

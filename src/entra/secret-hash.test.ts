import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newSecretText } from './secret-hash.ts'

test('no secret begins with a dash, since az and others would read it as an option', () => {
  const dice = [Buffer.alloc(18, 0xfb), Buffer.alloc(18, 0x5a)]
  assert.equal(newSecretText({ randomBytes: () => dice.shift() ?? Buffer.alloc(0) }, 18), 'Wlpa'.repeat(6))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFits, say } from './command-line.fixture.ts'

test('into a pipe, the demo fits 80 columns, has no colours and shows no progress', { timeout: 280_000 }, async () => {
  const { code, out, err } = await say(['demo'], { timeout: 270_000 })
  assert.equal(code, 0, out + err)
  assert.equal(err, '')
  assertFits(out)
  for (const sign of ['\u001b', '\r', '█']) assert.ok(!out.includes(sign))
  assert.match(out, /What was proven\n[\s\S]* {3}All of it holds, in \d+ s\.\n$/)
})

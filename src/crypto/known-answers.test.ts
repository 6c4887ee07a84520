import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkKnownAnswers } from './known-answers.ts'

test('R02: all algorithms give their known answers, in less than 50 ms', () => {
  checkKnownAnswers()
  const started = performance.now()
  checkKnownAnswers()
  assert.ok(performance.now() - started < 50)
})

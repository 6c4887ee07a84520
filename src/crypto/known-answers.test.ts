import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkKnownAnswers } from './known-answers.ts'

test('R02: the known answers of all algorithms come, in less than 50 ms', () => {
  checkKnownAnswers()
  const started = performance.now()
  checkKnownAnswers()
  assert.ok(performance.now() - started < 50)
})

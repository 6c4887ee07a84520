import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addDuration, approximateDays, parseDuration } from './duration.ts'

const at = (text: string) => Date.parse(text)

test('durations are years, months, weeks and days', () => {
  assert.deepEqual(parseDuration('P1Y2M3D'), { months: 14, days: 3 })
  assert.deepEqual(parseDuration('p2w'), { months: 0, days: 14 })
  for (const text of ['', 'P', 'P0D', '30D', 'PT1H', 'P1D1M', 'P-1D', 'P1.5D', 'P99999Y', 'P9999Y']) {
    assert.equal(parseDuration(text), undefined, text)
  }
  assert.equal(approximateDays({ months: 14, days: 1 }), 365 + 60 + 1)
})

test('adding months keeps the day, or takes the last of a shorter month', () => {
  assert.equal(addDuration(at('2026-01-31T12:00:00Z'), { months: 1, days: 0 }), at('2026-02-28T12:00:00Z'))
  assert.equal(addDuration(at('2024-01-31T00:00:00Z'), { months: 1, days: 1 }), at('2024-03-01T00:00:00Z'))
  assert.equal(addDuration(at('2026-03-31T00:00:00Z'), { months: 1, days: 0 }, -1), at('2026-02-28T00:00:00Z'))
  assert.equal(addDuration(at('2026-03-10T00:00:00Z'), { months: 0, days: 10 }, -1), at('2026-02-28T00:00:00Z'))
})

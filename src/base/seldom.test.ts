import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seldom } from './seldom.ts'

test('the same text is said once an hour, another one at once', () => {
  const clock = { ms: 0 }
  const isNews = seldom(() => clock.ms)
  const said = (text: string, minutes: number): boolean => {
    clock.ms += minutes * 60_000
    return isNews(text)
  }
  assert.deepEqual(
    [said('full', 0), said('full', 30), said('read-only', 0), said('full', 29)],
    [true, false, true, false],
  )
  assert.deepEqual([said('full', 1), said('full', 1)], [true, false])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, constantFrom, property, string } from 'fast-check'
import { StopFilter } from './stop-filter.ts'

function filtered(chunks: readonly string[], stops: readonly string[]): string {
  const filter = new StopFilter(stops)
  let shown = ''
  for (const chunk of chunks) {
    const { text, stopped } = filter.push(chunk)
    shown += text
    if (stopped) return shown
  }
  return shown + filter.flush()
}

test('text is cut before the first stop sequence that is complete, however it is split into chunks', () => {
  const letters = string({ unit: constantFrom('a', 'b', 'c') })
  check(
    property(array(letters), array(letters.filter(stop => stop !== '')), (chunks, stops) => {
      const whole = chunks.join('')
      const ends = stops
        .map(stop => ({ stop, end: whole.indexOf(stop) + stop.length }))
        .filter(({ stop }) => whole.includes(stop))
      const first = ends.toSorted((a, b) => a.end - b.end || b.stop.length - a.stop.length)[0]
      assert.equal(filtered(chunks, stops), first === undefined ? whole : whole.slice(0, first.end - first.stop.length))
    }),
  )
})

test('text that can not become a stop sequence is returned at once', () => {
  assert.deepEqual(new StopFilter(['\n\n']).push('hello\n'), { text: 'hello', stopped: false })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyOf, RecordCache } from './record-cache.ts'

test('a record that was read comes from the cache, frozen, until it is dropped', () => {
  const cache = new RecordCache()
  assert.equal(cache.get('c', 'a'), undefined)
  const first = cache.set('c', { id: 'a', version: 3, value: { list: [1] } })
  assert.deepEqual(first, { id: 'a', version: 3, value: { list: [1] } })
  assert.equal(cache.get('c', 'a'), first)
  assert.throws(() => first.value.list.push(2), TypeError)
  assert.equal(cache.get('other', 'a'), undefined)
  cache.drop(keyOf('c', 'a'))
  assert.equal(cache.get('c', 'a'), undefined)
})

test('the cache is bounded in records and bytes, and does not hold very large values', () => {
  const cache = new RecordCache()
  const set = (collection: string, id: string, value: unknown, version = 1): void => {
    cache.set(collection, { id, version, value })
  }
  const text = (length: number): string => 'x'.repeat(length)
  set('c', 'large', text(1_200_000))
  assert.equal(cache.get('c', 'large'), undefined)
  for (let n = 0; n < 5000; n++) set('c', `${n}`, 0)
  assert.equal(cache.get('c', '0'), undefined)
  assert.equal(cache.get('c', '4999')?.value, 0)
  for (let n = 0; n < 40; n++) set('big', `${n}`, text(1_000_000))
  const held = Array.from({ length: 40 }, (_, n) => n).filter(n => cache.get('big', `${n}`) !== undefined)
  assert.deepEqual(held, [24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39])
  // The same record again takes no more space.
  for (let n = 0; n < 40; n++) set('big', '39', text(1_000_000), n + 1)
  assert.ok(cache.get('big', '30') !== undefined)
  for (const n of held) cache.drop(keyOf('big', `${n}`))
  for (let n = 0; n < 16; n++) set('big', `again-${n}`, text(1_000_000))
  assert.ok(cache.get('big', 'again-0') !== undefined)
})

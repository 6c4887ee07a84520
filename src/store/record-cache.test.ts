import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordCache } from './record-cache.ts'

test('what was read is given again, frozen, until it is dropped', () => {
  const cache = recordCache()
  assert.equal(cache.get('c', 'a'), undefined)
  const first = cache.set<{ list: number[] }>('c', 'a', 3, '{"list":[1]}')
  assert.deepEqual(first, { id: 'a', version: 3, value: { list: [1] } })
  assert.equal(cache.get('c', 'a'), first)
  assert.throws(() => first.value.list.push(2), TypeError)
  assert.equal(cache.get('other', 'a'), undefined)
  cache.drop('c', 'a')
  assert.equal(cache.get('c', 'a'), undefined)
})

test('the cache holds neither large values nor more than its number of records', () => {
  const cache = recordCache()
  cache.set('c', 'large', 1, JSON.stringify('x'.repeat(20_000)))
  assert.equal(cache.get('c', 'large'), undefined)
  for (let n = 0; n < 5000; n++) cache.set('c', `${n}`, 1, '0')
  assert.equal(cache.get('c', '0'), undefined)
  assert.equal(cache.get('c', '4999')?.value, 0)
})

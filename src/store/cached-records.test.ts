import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CachedRecords } from './cached-records.ts'
import { ForwardedRecords } from './forwarded-records.ts'
import { openMemoryRecords } from './memory-records.ts'
import { collection, put, type Change, type Collection } from './records.ts'
import { SharedRecords } from './shared-records.test-support.ts'

const things = collection<{ list: number[] }>('things')

/** A store that counts its reads, and whose commits can be held before and after they are made. */
function heldStore() {
  const inner = openMemoryRecords()
  const gates = { before: Promise.resolve(), after: Promise.resolve() }
  const state = { reads: 0, gates }
  const held = Object.assign(new ForwardedRecords(inner), {
    get: async <T>(from: Collection<T>, id: string) => {
      state.reads += 1
      return inner.get(from, id)
    },
    commit: async (changes: readonly Change[]) => {
      await state.gates.before
      const written = await inner.commit(changes)
      await state.gates.after
      return written
    },
  })
  return { state, records: new CachedRecords(held) }
}

test('a record that was read comes from the cache, frozen, until it is written', async () => {
  const { state, records } = heldStore()
  await records.commit([put(things, 'a', { list: [1] })])
  const first = await records.get(things, 'a')
  assert.equal(await records.get(things, 'a'), first)
  assert.equal(state.reads, 1)
  assert.throws(() => first?.value.list.push(2), TypeError)
  await records.commit([put(things, 'a', { list: [2] })])
  assert.deepEqual((await records.get(things, 'a'))?.value.list, [2])
})

test('a record that is read during a commit is not cached, since it may be the old one', async () => {
  const { state, records } = heldStore()
  await records.commit([put(things, 'a', { list: [1] })])
  const before = Promise.withResolvers<void>()
  const after = Promise.withResolvers<void>()
  state.gates = { before: before.promise, after: after.promise }
  const writing = records.commit([put(things, 'a', { list: [2] })])
  assert.deepEqual((await records.get(things, 'a'))?.value.list, [1])
  before.resolve()
  await new Promise(setImmediate)
  // It is in the store before its writer hears of it.
  assert.deepEqual((await records.get(things, 'a'))?.value.list, [2])
  after.resolve()
  await writing
  assert.deepEqual((await records.get(things, 'a'))?.value.list, [2])
})

test('a cache over records that others write to is refused', () => {
  assert.throws(() => new CachedRecords(new SharedRecords(openMemoryRecords()).open()), /must not be cached/)
})

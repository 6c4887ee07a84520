import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  collection,
  mustExist,
  mustNotExist,
  put,
  remove,
  VersionConflict,
  type Change,
  type ListOptions,
  type RecordStore,
} from './records.ts'

const things = collection<{ n: number }>('things')
const oddIds = [
  'a',
  'a%',
  'a_',
  'aa',
  'ab',
  'a\u{10ffff}',
  'a\ud7ff',
  'a\ue000',
  'b',
  'B',
  'é',
  'e\u0301',
  '\uffee',
  '😀',
  '%',
  '_',
  "'",
  '"',
  ' ',
]

/** The promises of RecordStore, for every implementation. `opener` gives an empty store each time. */
export function recordStoreConforms(name: string, opener: () => Promise<RecordStore>): void {
  const rule: Rule = (title, check) => {
    test(`${name}: ${title}`, async () => {
      const records = await opener()
      try {
        await check(records)
      } finally {
        await records.close()
      }
    })
  }
  versionRules(rule)
  dependencyRules(rule)
  readRules(rule)
  valueRules(rule)
  listRules(rule)
  test(`${name}: a closed store refuses, and can be closed again`, async () => {
    const records = await opener()
    await records.close()
    await records.close()
    await assert.rejects(records.get(things, 'a'), /closed/u)
    await assert.rejects(records.list(things, { limit: 1 }), /closed/u)
    await assert.rejects(records.count(things), /closed/u)
    await assert.rejects(records.commit([put(things, 'a', { n: 1 })]), /closed/u)
  })
}

type Rule = (title: string, check: (records: RecordStore) => Promise<void>) => void

function dependencyRules(rule: Rule): void {
  rule(
    'a commit that depends on a record, or on its absence, does not write it, and fails as a whole where it is otherwise',
    async records => {
      await records.commit([put(things, 'a', { n: 1 })])
      await records.commit([put(things, 'b', { n: 2 }), mustExist(things, 'a')])
      assert.deepEqual(await records.get(things, 'a'), { id: 'a', version: 1, value: { n: 1 } })
      await records.commit([put(things, 'b', { n: 2 }, 1), mustNotExist(things, 'c'), put(things, 'c', { n: 1 })])
      for (const [gone, ...before] of [
        [mustExist(things, 'd')],
        [mustExist(things, 'a'), remove(things, 'a')],
        [mustNotExist(things, 'c')],
        [mustNotExist(things, 'd'), put(things, 'd', { n: 1 })],
      ]) {
        const commit = records.commit([put(things, 'b', { n: 3 }), ...before, gone as Change])
        await assert.rejects(commit, VersionConflict)
      }
      assert.deepEqual(await records.get(things, 'b'), { id: 'b', version: 2, value: { n: 2 } })
      await records.commit([remove(things, 'c'), mustNotExist(things, 'c')])
    },
  )
}

function versionRules(rule: Rule): void {
  rule('versions count the writes of a record and begin again after its removal', async records => {
    assert.equal(await records.get(things, 'a'), undefined)
    for (const n of [1, 2]) {
      await records.commit([put(things, 'a', { n })])
      assert.deepEqual(await records.get(things, 'a'), { id: 'a', version: n, value: { n } })
    }
    await records.commit([remove(things, 'a')])
    assert.equal(await records.get(things, 'a'), undefined)
    await records.commit([put(things, 'a', { n: 3 }, 0)])
    assert.equal((await records.get(things, 'a'))?.version, 1)
    await records.commit([remove(things, 'never-there')])
  })
  rule('a version that does not hold fails the whole commit and names its record', async records => {
    await records.commit([put(things, 'a', { n: 1 }), put(things, 'gone', { n: 1 })])
    for (const wrong of [0, 2]) {
      for (const change of [put(things, 'a', { n: 9 }, wrong), remove(things, 'a', wrong)]) {
        const commit = records.commit([put(things, 'b', { n: 9 }), remove(things, 'gone'), change])
        await assert.rejects(commit, { name: 'VersionConflict', collection: 'things', id: 'a' })
      }
    }
    await assert.rejects(records.commit([put(things, 'missing', { n: 9 }, 1)]), VersionConflict)
    assert.deepEqual(await idsOf(records), ['a', 'gone'])
    await records.commit([remove(things, 'a', 1), remove(things, 'gone', 1), remove(things, 'b', 0)])
    assert.equal(await records.count(things), 0)
  })
  rule('of commits that come at once each succeeds or fails alone', async records => {
    const commits = Array.from({ length: 50 }, async (_, n) =>
      records.commit([put(things, `own-${n}`, { n }), put(things, 'shared', { n }, 0)]),
    )
    const outcomes = await Promise.allSettled(commits)
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.equal(await records.count(things), 2)
  })
  rule('changes of one commit apply in order', async records => {
    await records.commit([put(things, 'a', { n: 1 }, 0), put(things, 'a', { n: 2 }, 1), remove(things, 'b', 0)])
    assert.deepEqual(await records.get(things, 'a'), { id: 'a', version: 2, value: { n: 2 } })
    await records.commit([remove(things, 'a', 2), put(things, 'a', { n: 3 }, 0)])
    assert.deepEqual(await records.get(things, 'a'), { id: 'a', version: 1, value: { n: 3 } })
    await records.commit([])
  })
}

function readRules(rule: Rule): void {
  rule('a read sees the last successful commit, however often the record was read before', async records => {
    const read = async () => (await records.get(things, 'a'))?.value.n
    assert.equal(await read(), undefined)
    for (let n = 1; n < 5; n++) {
      await records.commit([put(things, 'a', { n })])
      assert.deepEqual([await read(), await read()], [n, n])
      await assert.rejects(
        records.commit([put(things, 'a', { n: 99 }), put(things, 'b', { n: 99 }, 7)]),
        VersionConflict,
      )
      assert.deepEqual([await read(), await read()], [n, n])
      const commit = records.commit([put(things, 'a', { n: -n })])
      await Promise.all([commit, read(), read()])
      assert.equal(await read(), -n)
    }
    await records.commit([remove(things, 'a')])
    assert.equal(await read(), undefined)
    await records.commit([put(things, 'a', { n: 7 })])
    assert.deepEqual(await records.get(things, 'a'), { id: 'a', version: 1, value: { n: 7 } })
  })
}

function valueRules(rule: Rule): void {
  rule('values are JSON copies, which a caller can not change for another', async records => {
    const value = { n: 1, nested: { list: [1, 'é😀\u2028"\\', null, true, 0.1] } }
    const target = collection<typeof value>('copies')
    const commit = records.commit([put(target, 'a', value)], { shred: true })
    value.nested.list = []
    await commit
    const first = await records.get(target, 'a')
    assert.deepEqual(first?.value.nested.list, [1, 'é😀\u2028"\\', null, true, 0.1])
    // A store may share frozen values among readers, or give each reader a copy.
    assert.ok(Object.isFrozen(first.value) === Object.isFrozen(first.value.nested.list))
    if (!Object.isFrozen(first.value)) first.value.n = 2
    assert.equal((await records.get(target, 'a'))?.value.n, 1)
    for (const scalar of ['text', 0, null, []]) {
      await records.commit([put(collection<unknown>('scalars'), 'a', scalar)])
      assert.deepEqual((await records.get(collection<unknown>('scalars'), 'a'))?.value, scalar)
    }
  })
  rule('a value of megabytes is kept; over 16 MiB it is refused', async records => {
    const target = collection<string>('large')
    const large = 'x'.repeat(3_000_001)
    await records.commit([put(target, 'a', large)])
    assert.equal((await records.get(target, 'a'))?.value, large)
    await assert.rejects(records.commit([put(target, 'b', 'é'.repeat(8 * 1024 * 1024))]), RangeError)
    assert.equal(await records.count(target), 1)
  })
  rule('names, versions, limits and values that a database could not store are refused', async records => {
    for (const id of ['', 'a\0b', '\ud800', 'é'.repeat(513)]) {
      await assert.rejects(records.get(things, id), RangeError)
      await assert.rejects(records.get(collection<unknown>(id), 'a'), RangeError)
      await assert.rejects(records.commit([put(things, 'ok', { n: 1 }), put(things, id, { n: 1 })]), RangeError)
      await assert.rejects(records.commit([put(collection<unknown>(id), 'a', 1)]), RangeError)
    }
    await assert.rejects(records.list(things, { limit: 1, prefix: '\ud800' }), RangeError)
    for (const version of [-1, 0.5, Number.NaN]) {
      await assert.rejects(records.commit([put(things, 'a', { n: 1 }, version)]), RangeError)
    }
    for (const limit of [0, -1, 1.5, 100_001]) await assert.rejects(records.list(things, { limit }), RangeError)
    await assert.rejects(records.commit([put(collection<unknown>('c'), 'a', () => 1)]), RangeError)
    await assert.rejects(records.commit(Array.from({ length: 10_001 }, () => put(things, 'a', { n: 1 }))), RangeError)
    assert.equal(await records.count(things), 0)
  })
}

function listRules(rule: Rule): void {
  rule('a list has its own collection only, and goes on after the last id', async records => {
    const ids = Array.from({ length: 1500 }, (_, n) => `id-${String(n).padStart(4, '0')}`)
    await records.commit(ids.map((id, n) => put(things, id, { n })))
    await records.commit([put(collection<unknown>('thing'), 'x', 1), put(collection<unknown>('things2'), 'x', 1)])
    const first = await records.list(things, { limit: 1000 })
    const rest = await records.list(things, { limit: 1000, after: first.at(-1)?.id ?? '' })
    assert.deepEqual(
      [...first, ...rest].map(({ id }) => id),
      ids,
    )
    assert.equal(first.length, 1000)
    assert.equal(await records.count(things), 1500)
    assert.equal(await records.count(things, 'id-00'), 100)
    const newest = await records.list(things, { reverse: true, limit: 2, prefix: 'id-0', after: 'id-0999' })
    assert.deepEqual(newest, [
      { id: 'id-0998', version: 1, value: { n: 998 } },
      { id: 'id-0997', version: 1, value: { n: 997 } },
    ])
  })
  rule('ids are ordered by their UTF-8 bytes, and nothing in a prefix is a wildcard', async records => {
    await records.commit(oddIds.map((id, n) => put(things, id, { n })))
    await records.commit([put(collection<unknown>('things!'), 'a', 1)])
    const sorted = oddIds.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(await idsOf(records), sorted)
    const text = fc.oneof(
      fc.constantFrom(...oddIds, 'a\ud7fe', '\u{10ffff}'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
    )
    const name = text.filter(id => !id.includes('\0'))
    const options = fc.record(
      {
        prefix: fc.oneof(name, fc.constant('')),
        after: name,
        limit: fc.integer({ min: 1, max: 5 }),
        reverse: fc.boolean(),
      },
      { requiredKeys: ['limit'] },
    )
    const matches = fc.asyncProperty(options, async asked => {
      assert.deepEqual(await idsOf(records, asked), expectedIds(sorted, asked))
      const prefix = asked.prefix ?? ''
      assert.equal(await records.count(things, prefix), sorted.filter(id => id.startsWith(prefix)).length)
    })
    await fc.assert(matches, { numRuns: 100 })
  })
}

async function idsOf(records: RecordStore, options: ListOptions = { limit: 1000 }): Promise<string[]> {
  return (await records.list(things, options)).map(({ id }) => id)
}

/** The rules of ListOptions once more, as simply as possible. */
function expectedIds(sorted: readonly string[], { prefix = '', after, limit, reverse = false }: ListOptions): string[] {
  const ordered = reverse ? sorted.toReversed() : sorted
  return ordered
    .filter(id => id.startsWith(prefix))
    .filter(id => {
      if (after === undefined) return true
      const order = Buffer.compare(Buffer.from(id), Buffer.from(after))
      return reverse ? order < 0 : order > 0
    })
    .slice(0, limit)
}

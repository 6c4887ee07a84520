import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  collection,
  mustExist,
  mustNotExist,
  put,
  recordName,
  remove,
  VersionConflict,
  type RecordStore,
} from './records.ts'
import { SharedRecords, type Handle } from './shared-records.test-support.ts'
import { CommitUnknown } from './storage-errors.ts'

const things = collection<{ n: number }>('things')
const others = collection<{ n: number }>('others')
const INCREMENTS = 20

/** The promises of a store that several processes use, for every implementation. `opener` gives an empty store each time. */
export function pairsConform(name: string, opener: () => Promise<RecordStore>): void {
  const rule = (title: string, check: (one: Handle, other: Handle) => Promise<void>): void => {
    test(`${name}, two handles: ${title}`, async () => {
      const shared = new SharedRecords(await opener())
      try {
        await check(shared.open(), shared.open())
      } finally {
        await shared.close()
      }
    })
  }
  commitRules(rule)
  transactRules(rule)
  refusalRules(rule)
  watchRules(rule)
}

type Rule = (title: string, check: (one: Handle, other: Handle) => Promise<void>) => void

function commitRules(rule: Rule): void {
  rule('each reads what the other wrote, once it is acknowledged', async (one, other) => {
    const [written] = await one.commit([put(things, 'a', { n: 1 })])
    assert.deepEqual(written, { collection: 'things', id: 'a', version: 1 })
    assert.deepEqual(await other.get(things, 'a'), { id: 'a', version: 1, value: { n: 1 } })
    await other.commit([put(things, 'a', { n: 2 })])
    assert.equal((await one.get(things, 'a'))?.value.n, 2)
    await one.commit([remove(things, 'a')])
    assert.equal(await other.get(things, 'a'), undefined)
    assert.equal(await other.count(things), 0)
  })

  rule('of two that make the same record one succeeds', async (one, other) => {
    const ends = await Promise.allSettled([one, other].map(records => records.commit([put(things, 'a', { n: 1 }, 0)])))
    assert.deepEqual(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  })

  rule('a commit that depends on a record and one that removes it do not both succeed', async (one, other) => {
    for (let n = 0; n < 10; n += 1) {
      await one.commit([put(things, 'key', { n })])
      const ends = await Promise.allSettled([
        one.commit([mustExist(things, 'key'), put(others, `blob-${n}`, { n })]),
        other.commit([mustNotExist(others, `blob-${n}`), remove(things, 'key')]),
      ])
      assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1)
    }
  })
}

function increase(records: RecordStore): Promise<number> {
  return records
    .transact([recordName(things, 'sum')], found => {
      const n = (found.get(things, 'sum')?.value.n ?? 0) + 1
      return { changes: [put(things, 'sum', { n })], result: n }
    })
    .then(({ result }) => result)
}

function transactRules(rule: Rule): void {
  rule('no increment is lost', async (one, other) => {
    const results = await Promise.all(Array.from({ length: INCREMENTS }, (_, n) => increase(n % 2 === 0 ? one : other)))
    assert.equal((await one.get(things, 'sum'))?.value.n, INCREMENTS)
    assert.equal(new Set(results).size, INCREMENTS)
  })

  rule('a plan runs again on what the other wrote meanwhile, and only the last run counts', async (one, other) => {
    await one.commit([put(things, 'a', { n: 1 })])
    const seen: (number | undefined)[] = []
    let meddling: Promise<unknown> = Promise.resolve()
    const { result, written } = await one.transact([recordName(things, 'a')], found => {
      seen.push(found.get(things, 'a')?.value.n)
      if (seen.length === 1) meddling = other.commit([put(things, 'a', { n: 7 })])
      return { changes: [put(others, `of-${seen.at(-1)}`, { n: 0 })], result: seen.at(-1) }
    })
    await meddling
    assert.deepEqual([seen, result, written.map(({ id }) => id)], [[1, 7], 7, ['of-7']])
    assert.equal(await one.count(others), 1)
  })

  rule('a transaction that read that a record is missing fails where it exists at the commit', async (one, other) => {
    const make = (records: RecordStore, id: string): Promise<unknown> =>
      records.transact([recordName(things, 'only')], found => ({
        changes:
          found.get(things, 'only') === undefined ? [put(things, 'only', { n: 1 }), put(others, id, { n: 1 })] : [],
        result: undefined,
      }))
    await Promise.all([make(one, 'a'), make(other, 'b')])
    assert.equal(await one.count(others), 1)
  })
}

function refusalRules(rule: Rule): void {
  rule('a conflict over a record that it did not read is an error', async one => {
    await one.commit([put(things, 'a', { n: 1 }), put(others, 'b', { n: 1 })])
    let runs = 0
    const failing = one.transact([recordName(things, 'a')], () => {
      runs += 1
      return { changes: [put(things, 'a', { n: 2 }), put(others, 'b', { n: 2 }, 7)], result: undefined }
    })
    await assert.rejects(failing, error => error instanceof VersionConflict && error.collection === 'others')
    assert.deepEqual([runs, (await one.get(things, 'a'))?.value.n], [1, 1])
  })

  rule('a plan reads nothing that the transaction does not name', async one => {
    const reading = one.transact([recordName(things, 'a')], found => ({
      changes: [],
      result: found.get(things, 'b'),
    }))
    await assert.rejects(reading, /does not name the record things\/b/)
  })

  rule('a commit whose answer is lost is not made again', async (one, other) => {
    one.losesAnswer = true
    await assert.rejects(increase(one), CommitUnknown)
    assert.equal((await other.get(things, 'sum'))?.value.n, 1)
  })
}

function watchRules(rule: Rule): void {
  rule('a watch tells what the other writes and removes, until it is closed', async (one, other) => {
    const told: string[] = []
    const watch = one.watch(written => {
      if (written !== 'lost') told.push(...written.map(({ collection: name, id }) => `${name}/${id}`))
    })
    await other.commit([put(things, 'a', { n: 1 }), mustExist(things, 'a'), put(others, 'b', { n: 1 })])
    await other.commit([remove(things, 'a')])
    await assert.rejects(other.commit([put(things, 'c', { n: 1 }, 4)]), VersionConflict)
    assert.deepEqual(told, ['things/a', 'others/b', 'things/a'])
    watch.close()
    await other.commit([put(things, 'd', { n: 1 })])
    assert.equal(told.length, 3)
  })
}

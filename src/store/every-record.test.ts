import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allRecords, everyRecord } from './every-record.ts'
import { openMemoryRecords } from './memory-records.ts'
import { collection, put } from './records.ts'

const things = collection<number>('things')

test('all records are read in their order, also those that are added behind meanwhile', async () => {
  const records = openMemoryRecords()
  const ids = Array.from({ length: 1700 }, (_, n) => `a/${String(n).padStart(4, '0')}`)
  await records.commit(ids.map((id, n) => put(things, id, n)))
  await records.commit([put(things, 'b/0', 0)])
  const found = await allRecords(records, things, { prefix: 'a/' })
  assert.deepEqual(
    found.map(({ id }) => id),
    ids,
  )
  const newestFirst = await allRecords(records, things, { prefix: 'a/', reverse: true })
  assert.deepEqual(newestFirst, found.toReversed())
  const read: number[] = []
  for await (const { value } of everyRecord(records, things, { prefix: 'a/' })) {
    if (read.length === 0) await records.commit([put(things, 'a/9999', 9999)])
    read.push(value)
  }
  assert.equal(read.length, 1701)
  assert.equal(read.at(-1), 9999)
})

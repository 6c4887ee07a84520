import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blobKeyOf, blobRecords, type BlobRecord } from '../encryption/blob-records.ts'
import { keyRows, type KeyRow } from '../encryption/key-ring-rows.ts'
import { openMemoryBlobs } from '../store/memory-blobs.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put } from '../store/records.ts'
import { OrphanCollector } from './orphan-collector.ts'

const HOUR_MS = 3_600_000

/** Blobs of an account with data keys, under a collector. */
async function collected(refuse: (id: string) => boolean = () => false) {
  const records = openMemoryRecords()
  const blobs = openMemoryBlobs()
  await records.commit([put(keyRows, 'a/active/1', { accountId: 'a' } as KeyRow)])
  const [taken, told]: [string[], number[]] = [[], []]
  const clock = { ms: 0, full: false }
  const aside = new Map<string, string[]>()
  const collector = new OrphanCollector({
    records,
    blobs,
    quarantine: {
      take: async (id, day) => {
        if (refuse(id)) throw new Error(`EIO: ${id}`)
        await blobs.remove(id)
        aside.set(day, [...(aside.get(day) ?? []), id])
        taken.push(id)
      },
      list: async () => aside,
      delete: async (day, ids) => {
        const kept = ids.filter(refuse)
        aside.set(
          day,
          (aside.get(day) ?? []).filter(id => kept.includes(id) || !ids.includes(id)),
        )
        return { deleted: ids.length - kept.length, kept: kept.map(id => new Error(`EIO: ${id}`)) }
      },
    },
    audit: {
      append: async entry => {
        if (clock.full) throw new Error('the disk is full')
        told.push((entry.properties as { count: number }).count)
        return []
      },
    },
    log: () => {},
    monotonic: () => clock.ms,
    now: () => 0,
  })
  const store = async (id: string): Promise<void> => {
    await blobs.create(
      id,
      (async function* () {
        yield Buffer.from(id)
      })(),
    )
  }
  const name = (blobId: string): Promise<unknown> =>
    records.commit([put(blobRecords, blobKeyOf('a', blobId), { accountId: 'a', blobId } as BlobRecord)])
  const after = async (hours: number): Promise<void> => {
    clock.ms += hours * HOUR_MS
    await collector.run()
  }
  return { taken, told, store, name, after, blobs, clock, aside }
}

test('a blob that no record names for a day is set aside', async () => {
  const { taken, told, store, name, after } = await collected()
  await store('named')
  await name('named')
  await store('orphan')
  for (const hours of [0, 12, 11]) await after(hours)
  assert.deepEqual(taken, [])
  await after(1)
  assert.deepEqual([taken, told], [['orphan'], [1]])
})

test('a long upload keeps its blob, since its record comes within the day', async () => {
  const { taken, store, name, after } = await collected()
  await store('slow')
  await after(0)
  await after(23)
  await name('slow')
  for (const hours of [2, 24, 24]) await after(hours)
  assert.deepEqual(taken, [])
})

test('a blob that is removed and comes back under its name counts as new', async () => {
  const { taken, store, after, blobs } = await collected()
  await store('again')
  await after(0)
  await blobs.remove('again')
  await after(23)
  await store('again')
  await after(1)
  await after(23)
  assert.deepEqual(taken, [])
  await after(1)
  assert.deepEqual(taken, ['again'])
})

test('what was set aside is deleted a week later, by the time that the process has seen it there', async () => {
  const { told, store, after, aside } = await collected()
  await store('orphan')
  for (const hours of [0, 24, 1]) await after(hours)
  assert.deepEqual([...aside.values()], [['orphan']])
  await after(7 * 24 - 1)
  assert.deepEqual([...aside.values()], [['orphan']])
  await after(1)
  assert.deepEqual([...aside.values()], [[]])
  assert.deepEqual(told, [1, 1])
})

test('a file that the disk keeps holds up no other, and what could not be recorded is recorded later', async () => {
  const { taken, told, store, after, clock } = await collected(id => id === 'stuck')
  for (const id of ['stuck', 'free']) await store(id)
  await after(0)
  clock.full = true
  await assert.rejects(after(24), /2 tasks failed, the first: Error: EIO: stuck/)
  assert.deepEqual([taken, told], [['free'], []])
  clock.full = false
  await assert.rejects(after(1), /EIO: stuck/)
  assert.deepEqual(told, [1])
})

test('a blob of the quarantine that the disk keeps holds up no other of its day, and those are recorded', async () => {
  const stuck = new Set<string>()
  const { told, store, after, aside } = await collected(id => stuck.has(id))
  for (const id of ['one', 'stuck', 'two']) await store(id)
  for (const hours of [0, 24, 1]) await after(hours)
  stuck.add('stuck')
  await assert.rejects(after(7 * 24), /EIO: stuck/)
  assert.deepEqual([[...aside.values()], told], [[['stuck']], [3, 2]])
})

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { ForwardedRecords } from './forwarded-records.ts'
import { SharedRecords } from './shared-records.test-support.ts'
import { openAuditLog, type AuditLog } from './audit-log.ts'
import type { NewAuditEntry } from './audit-entry.ts'
import { openMemoryRecords } from './memory-records.ts'
import {
  collection,
  put,
  remove,
  VersionConflict,
  type Change,
  type CommitOptions,
  type RecordStore,
} from './records.ts'

const entries = collection<{ entry: { properties?: object }; hash: string }>('audit-entries')
const heads = collection<{ entries: number; head: string }>('audit-head')
const things = collection<number>('things')
const env = { ...systemEnv, now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }

function wrapKey(n: number): NewAuditEntry {
  const identity = { claim: { oid: 'a-principal' } }
  return {
    operationName: 'KeyWrap',
    category: 'AuditEvent',
    resultType: 'Success',
    durationMs: n,
    identity,
    properties: { b: n, a: 'é' },
  }
}

async function filledLog(count: number): Promise<{ records: RecordStore; log: AuditLog }> {
  const records = openMemoryRecords()
  const log = await openAuditLog(records, env)
  for (let n = 1; n <= count; n++) await log.append(wrapKey(n))
  return { records, log }
}

function idOf(sequence: number): string {
  return String(sequence).padStart(16, '0')
}

/** Counts commits, and can fail them. */
function watched(records: RecordStore) {
  const seen: { commits: number; options: CommitOptions[]; failure?: Error } = { commits: 0, options: [] }
  const commit = async (changes: readonly Change[], options: CommitOptions = {}) => {
    seen.commits += 1
    seen.options.push(options)
    if (seen.failure) throw seen.failure
    return records.commit(changes, options)
  }
  return { seen, records: Object.assign(new ForwardedRecords(records), { commit }) }
}

test('an entry and its changes are written together or not at all', async () => {
  const { records, log } = await filledLog(0)
  await log.append(wrapKey(1), [put(things, 'a', 1, 0)])
  await assert.rejects(log.append(wrapKey(2), [put(things, 'b', 1), put(things, 'a', 2, 0)]), VersionConflict)
  assert.deepEqual(
    (await log.list()).map(({ entry }) => entry.durationMs),
    [1],
  )
  assert.equal(await records.get(things, 'b'), undefined)
  assert.equal((await records.get(things, 'a'))?.value, 1)
  assert.equal((await log.verify()).ok, true)
})

test('an entry without a time gets the current one', async () => {
  const { log } = await filledLog(1)
  await log.append({ ...wrapKey(2), time: '2026-01-01T00:00:00Z' })
  const [first, second] = await log.list()
  assert.deepEqual(first?.entry, { ...wrapKey(1), time: '2026-01-02T03:04:05.006Z' })
  assert.equal(second?.entry.time, '2026-01-01T00:00:00Z')
})

test('appends that come at once share commits, keep their order, and only those at fault fail', async () => {
  const store = watched(openMemoryRecords())
  const log = await openAuditLog(store.records, env)
  const before = store.seen.commits
  await Promise.all(Array.from({ length: 200 }, async (_, n) => log.append(wrapKey(n))))
  assert.ok(store.seen.commits - before <= 3, `${store.seen.commits - before} commits`)
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, async (_, n) =>
      log.append(wrapKey(200 + n), [put(things, `${n}`, n, n % 25 === 3 ? 7 : 0)]),
    ),
  )
  const failed = outcomes.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))
  assert.deepEqual(failed, [3, 28, 53, 78])
  const written = (await log.list()).map(({ entry }) => entry.durationMs)
  assert.deepEqual(
    written,
    Array.from({ length: 300 }, (_, n) => n).filter(n => n < 200 || !failed.includes(n - 200)),
  )
  assert.equal(await store.records.count(things), 96)
  assert.equal((await log.verify()).ok, true)
})

test('the option to shred is passed on', async () => {
  const store = watched(openMemoryRecords())
  const log = await openAuditLog(store.records, env)
  await log.append(wrapKey(1), [remove(things, 'a')], { shred: true })
  assert.equal(store.seen.options.at(-1)?.shred, true)
})

test('after a failure of the store the log goes on from its real end', async () => {
  const store = watched(openMemoryRecords())
  const log = await openAuditLog(store.records, env)
  await log.append(wrapKey(1))
  store.seen.failure = new Error('disk full')
  await assert.rejects(log.append(wrapKey(2)), /disk full/u)
  delete store.seen.failure
  await log.append(wrapKey(3))
  assert.deepEqual(
    (await log.list()).map(({ sequence, entry }) => [sequence, entry.durationMs]),
    [
      [1, 1],
      [2, 3],
    ],
  )
  assert.equal((await log.verify()).ok, true)
})

test('a list goes forwards and backwards from any entry', async () => {
  const { log } = await filledLog(5)
  const sequences = async (options: object) => (await log.list(options)).map(({ sequence }) => sequence)
  assert.deepEqual(await sequences({ after: 2, limit: 2 }), [3, 4])
  assert.deepEqual(await sequences({ after: 4, reverse: true }), [3, 2, 1])
  assert.deepEqual(await sequences({ limit: 1, reverse: true }), [5])
})

test('a reopened log goes on with the chain', async () => {
  const { records } = await filledLog(3)
  const reopened = await openAuditLog(records, env)
  await reopened.append(wrapKey(4))
  const verdict = await reopened.verify()
  assert.equal(verdict.ok && verdict.entries, 4)
})

test('several processes append to one chain, each with its changes, and no entry is lost', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const logs = await Promise.all([1, 2, 3].map(() => openAuditLog(shared.open(), env)))
  const appends = Array.from({ length: 30 }, async (_, n) =>
    logs[n % 3]?.append(wrapKey(n), [put(things, `of-${n}`, n, 0)]),
  )
  const written = await Promise.all(appends)
  assert.deepEqual(
    written.map(of => of?.map(({ id }) => id)),
    Array.from({ length: 30 }, (_, n) => [`of-${n}`]),
  )
  const verdict = await logs[0]?.verify()
  assert.equal(verdict?.ok && verdict.entries, 30)
  assert.equal(await shared.open().count(things), 30)
})

test('a conflict in one process fails only the appends with the conflict', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const [one, other] = await Promise.all([1, 2].map(() => openAuditLog(shared.open(), env)))
  const ends = await Promise.allSettled([
    one?.append(wrapKey(1), [put(things, 'a', 1, 0)]),
    other?.append(wrapKey(2), [put(things, 'b', 1, 0)]),
    other?.append(wrapKey(3), [put(things, 'b', 2, 7)]),
    one?.append(wrapKey(4), [put(things, 'c', 1, 0)]),
  ])
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  )
  assert.equal((await one?.verify())?.ok, true)
})

test('an entry that is too long or has no proper time is refused', async () => {
  const { log } = await filledLog(0)
  await assert.rejects(log.append({ ...wrapKey(1), resultDescription: 'x'.repeat(65_536) }), RangeError)
  await assert.rejects(log.append({ ...wrapKey(1), time: 'yesterday' }), RangeError)
})

const tamperings: [title: string, changes: (records: RecordStore) => Promise<Change[]>, at: number][] = [
  ['the head is missing', async () => [remove(heads, 'head')], 1],
  [
    'an entry was changed',
    async records => {
      const stored = await records.get(entries, idOf(4))
      return stored
        ? [put(entries, idOf(4), { ...stored.value, entry: { ...stored.value.entry, properties: { b: 5, a: 'é' } } })]
        : []
    },
    4,
  ],
  ['an entry is missing', async () => [remove(entries, idOf(3))], 3],
  ['the first entry is missing', async () => [remove(entries, idOf(1))], 1],
  ['the last entry is missing', async () => [remove(entries, idOf(10))], 10],
  [
    'two entries changed places',
    async records => {
      const [a, b] = [await records.get(entries, idOf(5)), await records.get(entries, idOf(6))]
      return a && b ? [put(entries, idOf(5), b.value), put(entries, idOf(6), a.value)] : []
    },
    5,
  ],
  [
    'an entry was put before the first',
    async records => {
      const first = await records.get(entries, idOf(1))
      return first ? [put(entries, idOf(0), first.value)] : []
    },
    1,
  ],
  [
    'an entry was put behind the end',
    async records => {
      const last = await records.get(entries, idOf(10))
      return last ? [put(entries, idOf(11), last.value)] : []
    },
    11,
  ],
  [
    'the head is behind',
    async records => [
      put(heads, 'head', { entries: 9, head: (await records.get(entries, idOf(9)))?.value.hash ?? '' }),
    ],
    10,
  ],
  ['the head is another one', async () => [put(heads, 'head', { entries: 10, head: '00'.repeat(32) })], 10],
]

for (const [title, tamper, at] of tamperings) {
  test(`verify finds that ${title}, and nothing is appended then where the end was touched`, async () => {
    const { records } = await filledLog(10)
    await records.commit(await tamper(records))
    const log = await openAuditLog(records, env)
    const verdict = await log.verify()
    assert.deepEqual({ ok: verdict.ok, at: !verdict.ok && verdict.at }, { ok: false, at })
    if (at >= 10 || title === 'the head is missing')
      await assert.rejects(log.append(wrapKey(11)), /changed from outside/u)
  })
}

test('a head that was kept elsewhere shows a log which was cut off or written anew as a whole', async () => {
  const { records, log } = await filledLog(10)
  const known = await log.verify()
  assert.ok(known.ok)
  await log.append(wrapKey(11))
  assert.equal((await log.verify(known)).ok, true)
  assert.deepEqual(await log.verify({ ...known, head: '00'.repeat(32) }), {
    ok: false,
    at: 10,
    reason: 'the log up to here is not the one that was known',
  })
  const ninth = await records.get(entries, idOf(9))
  await records.commit([
    remove(entries, idOf(10)),
    remove(entries, idOf(11)),
    put(heads, 'head', { entries: 9, head: ninth?.value.hash ?? '' }),
  ])
  const cut = await openAuditLog(records, env)
  assert.equal((await cut.verify()).ok, true)
  assert.equal((await cut.verify(known)).ok, false)
})

test('with a MAC nobody without its key can write a head that passes', async () => {
  const records = openMemoryRecords()
  const mac = (message: Buffer) => createHmac('sha256', 'the root key').update(message).digest()
  const log = await openAuditLog(records, env, { mac })
  for (const n of [1, 2]) await log.append(wrapKey(n))
  assert.equal((await log.verify()).ok, true)
  const first = await records.get(entries, idOf(1))
  await records.commit([remove(entries, idOf(2)), put(heads, 'head', { entries: 1, head: first?.value.hash ?? '' })])
  const cut = await openAuditLog(records, env, { mac })
  assert.deepEqual(await cut.verify(), {
    ok: false,
    at: 1,
    reason: 'the head of the log was not written by this service',
  })
  await assert.rejects(cut.append(wrapKey(3)), /changed from outside/u)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyStates, type KeyState } from '../encryption/key-state.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import { systemEnv } from '../base/env.ts'
import type { NewAuditEntry } from '../store/audit-entry.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { collection, put, type RecordStore, type WatchListener } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { StorageRefused } from '../store/storage-errors.ts'
import { accounts, type Account } from './account.ts'
import { KeyStatuses } from './key-statuses.ts'

const [first, second] = ['https://kv/keys/k/1', 'https://kv/keys/k/2']
const refused = (kekId = first) => ({ accountId: 'a', kekId, error: new KeyUnavailable('AccessDenied', kekId) })
const answered = (kekId = first) => ({ accountId: 'a', kekId })

async function open(records: RecordStore = openMemoryRecords()) {
  await records.commit([put(accounts, 'a', { accountId: 'a', id: '/accounts/a' } as Account)])
  const clock = { now: Date.parse('2030-01-01T00:00:00Z') }
  const entries: NewAuditEntry[] = []
  const disk = { isFull: false }
  const commit: RecordStore['commit'] = async (...given) => {
    if (disk.isFull) throw new StorageRefused('full')
    return records.commit(...given)
  }
  const audit = {
    append: async (entry: NewAuditEntry, changes: Parameters<RecordStore['commit']>[0] = []) => {
      const written = await commit(changes)
      entries.push(entry)
      return written
    },
  }
  const failures: unknown[] = []
  const log = (_message: string, error: unknown): void => void failures.push(error)
  const onDisk = Object.assign(new ForwardedRecords(records), { commit })
  const statuses = new KeyStatuses({
    records: onDisk,
    env: { ...systemEnv, now: () => (clock.now += 1000) },
    audit,
    log,
  })
  const enable = async (kid: string | undefined): Promise<void> => {
    const { changes, settled } = statuses.change('a', kid)
    const kekId = kid ?? 'service:a'
    await records.commit([...changes, put(keyStates, 'a', { kekId } as KeyState)])
    settled()
  }
  return { records, statuses, entries, failures, disk, enable }
}

test('a state lasts from its first sign until another cause', async () => {
  const { statuses, enable } = await open()
  await enable(first)
  statuses.note(refused())
  const lost = statuses.of('a')
  statuses.note(refused())
  const still = statuses.of('a')
  assert.deepEqual([still?.state, still?.cause, still?.since], ['KeyUnavailable', 'AccessDenied', lost?.since])
  assert.ok((still?.lastChecked ?? '') > (lost?.lastChecked ?? ''))
  assert.equal(still?.lastSuccess, lost?.lastSuccess)
  statuses.note({ ...refused(), error: new KeyUnavailable('KeyDisabled', first) })
  assert.ok((statuses.of('a')?.since ?? '') > (lost?.since ?? ''))
})

test('each change of state is recorded once, also over a restart · R05', async () => {
  const { records, statuses, entries, failures, enable } = await open()
  await enable(first)
  for (const outcome of [answered(), refused(), refused(), answered(), answered(), refused()]) statuses.note(outcome)
  await statuses.close()
  assert.deepEqual(
    entries.map(({ resultType }) => resultType),
    ['Failed', 'Success', 'Failed'],
  )
  assert.deepEqual(failures, [])
  const again = await open(records)
  await again.statuses.load()
  assert.deepEqual(again.statuses.of('a'), statuses.of('a'))
})

test('R05: what a full disk kept from being recorded is recorded once there is room, each turn in its order', async () => {
  const { statuses, entries, failures, disk, enable } = await open()
  await enable(first)
  disk.isFull = true
  for (const outcome of [refused(), answered()]) statuses.note(outcome)
  await new Promise(setImmediate)
  assert.deepEqual([entries.length, failures.length > 0], [0, true])
  disk.isFull = false
  statuses.note(answered())
  await new Promise(setImmediate)
  assert.deepEqual(
    entries.map(({ resultType }) => resultType),
    ['Failed', 'Success'],
  )
})

test('R05: what a full disk kept from being recorded is recorded at the end', async () => {
  const { records, statuses, entries, disk, enable } = await open()
  await enable(first)
  disk.isFull = true
  statuses.note(refused())
  await new Promise(setImmediate)
  disk.isFull = false
  await statuses.close()
  assert.equal(entries.length, 1)
  const again = await open(records)
  await again.statuses.load()
  assert.equal(again.statuses.of('a')?.state, 'KeyUnavailable')
})

test('a full disk does not break off the end', async () => {
  const { statuses, failures, disk, enable } = await open()
  await enable(first)
  disk.isFull = true
  statuses.note(answered())
  await statuses.close()
  assert.ok(failures.at(-1) instanceof StorageRefused)
})

test('an answer about a replaced key, or while the service ends, is ignored', async () => {
  const { statuses, enable } = await open()
  await enable(first)
  await enable(second)
  statuses.note(refused(first))
  assert.equal(statuses.of('a')?.state, 'Active')
  await enable(undefined)
  statuses.note(refused(second))
  assert.equal(statuses.of('a'), undefined)
  await enable(second)
  await statuses.close()
  statuses.note(refused(second))
  assert.equal(statuses.of('a')?.state, 'Active')
})

test('a key whose status was lost in a crash is adopted, and then asked about', async () => {
  const { statuses, enable } = await open()
  await enable(first)
  statuses.adopt('a', second)
  assert.equal(statuses.sinceAsked('a'), Number.POSITIVE_INFINITY)
  statuses.note(refused(second))
  assert.equal(statuses.of('a')?.state, 'KeyUnavailable')
})

const written = collection<{ readonly state: string; readonly keyIdentifier: string }>('accounts.key-statuses')

test('what a process learnt of a key is not written over what another process has changed since', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const one = await open(shared.open())
  for (const next of [second, undefined]) {
    await one.enable(first)
    const other = await open(shared.open())
    await other.statuses.load()
    other.statuses.note(refused())
    // Nobody tells the other one.
    await one.enable(next)
    await new Promise(setImmediate)
    await other.statuses.close()
    assert.equal((await shared.open().get(written, 'a'))?.value.keyIdentifier, next)
  }
})

test('what a process learnt of a key last is not written over by an older answer at the end of another', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const [one, other] = [await open(shared.open()), await open(shared.open())]
  await one.enable(first)
  await other.statuses.load()
  other.statuses.note(answered())
  for (let times = 0; times < 9; times += 1) one.statuses.note(refused())
  await one.statuses.close()
  await other.statuses.close()
  assert.equal((await shared.open().get(written, 'a'))?.value.state, 'KeyUnavailable')
})

test('a process whose watch had a gap reads the states of all keys anew', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const handle = shared.open()
  let tell: WatchListener = () => {}
  handle.watch = listener => ((tell = listener), { close: () => {} })
  const [one, other] = [await open(shared.open()), await open(handle)]
  await one.enable(first)
  await other.statuses.load()
  other.statuses.followOthers()
  await one.enable(second)
  assert.equal(other.statuses.of('a')?.keyIdentifier, first)
  tell('lost')
  for (let looks = 0; looks < 50; looks += 1) await new Promise(setImmediate)
  assert.equal(other.statuses.of('a')?.keyIdentifier, second)
  await one.enable(undefined)
  tell('lost')
  for (let looks = 0; looks < 50; looks += 1) await new Promise(setImmediate)
  assert.equal(other.statuses.of('a'), undefined)
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { openBox, sealBox } from '../crypto/box.ts'
import { systemEnv } from '../base/env.ts'
import { openMemoryBlobs } from '../store/memory-blobs.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type Change, type RecordStore } from '../store/records.ts'
import { changeKey } from './change-key.ts'
import { addGeneration } from './data-key-generations.ts'
import { KeyRing, serviceKeys } from './key-ring.ts'
import type { KeyEncryptionKey } from './key-encryption-key.ts'
import { isRetired, keyRows, unwrapDataKey, wrapDataKey } from './key-ring-rows.ts'
import { putState } from './key-state.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { SealedBlobs } from './sealed-blobs.ts'
import { dropBrokenOffChanges } from './start-up.ts'
import { VaultWaits } from './vault-waits.ts'

const account = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'
const key = (): KeyObject => createSecretKey(randomBytes(32))

interface Opened {
  readonly ring: KeyRing
  readonly records: RecordStore
  readonly blobs: SealedBlobs
  /** As another process has it. */
  readonly elsewhere: KeyRing
}

async function openRing(leaseMs = 0): Promise<Opened> {
  const records = openMemoryRecords()
  const rootKeys = {
    service: key(),
    mac: key(),
    deployment: key(),
    hsm: key(),
    records: key(),
    identity: key(),
    bases: key(),
  }
  const open = (): KeyRing =>
    new KeyRing({
      records,
      rootKeys,
      leaseMs,
      vaults: { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() },
      credentialOf: () => ({ getToken: async () => null }),
      settingsOf: async () => undefined,
    })
  const ring = open()
  await records.commit(await ring.create(account))
  return {
    ring,
    records,
    blobs: new SealedBlobs({ ring, blobs: openMemoryBlobs(), env: systemEnv, deploymentRoot: rootKeys.deployment }),
    elsewhere: open(),
  }
}

/** A key-encryption key in this process, under the id of the account's service key, so that the ring finds it again. */
function otherKey(
  ring: KeyRing,
  fails: Partial<Record<'wrap' | 'unwrap', boolean>> = {},
  version = '0123456789abcdef0123456789abcdef',
): KeyEncryptionKey {
  const secret = key()
  const id = `https://v.vault.localhost/keys/k/${version}`
  const kek: KeyEncryptionKey = {
    id,
    algorithm: 'RSA-OAEP-256',
    wrap: async bytes => {
      if (fails.wrap) throw new Error('wrap refused')
      return sealBox(secret, Buffer.alloc(0), bytes)
    },
    unwrap: async bytes => {
      if (fails.unwrap) throw new Error('unwrap refused')
      return openBox(secret, Buffer.alloc(0), bytes)
    },
  }
  const inherited = ring.kek.bind(ring)
  ring.kek = (accountId, kekId) => (kekId === id ? Promise.resolve(kek) : inherited(accountId, kekId))
  return kek
}

const source = async function* (): AsyncGenerator<Uint8Array> {
  yield Buffer.from('training data')
}

test('a change of key re-wraps the data keys and leaves the blobs alone · R18', async () => {
  const { ring, records, blobs } = await openRing()
  const { record, changes } = await blobs.create({ accountId: account, kind: 'training-data', source: source() })
  await records.commit(changes)
  const { rewrapped } = await changeKey(ring, account, otherKey(ring), all => records.commit(all))
  assert.equal(rewrapped, 1)
  const opened = await blobs.open(record)
  assert.equal(Buffer.concat(await Array.fromAsync(opened.read())).toString(), 'training data')
})

test('a change that fails at any step changes nothing and leaves nothing behind · R29', async () => {
  for (const step of ['wrap', 'unwrap', 'commit'] as const) {
    const { ring, records } = await openRing()
    const before = await records.list(keyRows, { limit: 1000 })
    const target = otherKey(ring, step === 'commit' ? {} : { [step]: true })
    const commit = async (changes: Parameters<RecordStore['commit']>[0]): Promise<void> => {
      if (step === 'commit') throw new Error('disk full')
      await records.commit(changes)
    }
    await assert.rejects(changeKey(ring, account, target, commit), /refused|disk full/)
    assert.deepEqual(await records.list(keyRows, { limit: 1000 }), before)
  }
})

test('R26: after a purge a change of key that was under way writes no data key any more, not even for a moment', async () => {
  const { ring, elsewhere, records } = await openRing()
  const target = otherKey(ring)
  const rowsAfter: number[] = []
  const purging: KeyEncryptionKey = {
    ...target,
    wrap: async bytes => {
      if (rowsAfter.length === 0) await records.commit(await elsewhere.destroy(account))
      return target.wrap(bytes)
    },
    unwrap: async bytes => {
      rowsAfter.push(await records.count(keyRows))
      return target.unwrap(bytes)
    },
  }
  const changing = changeKey(ring, account, purging, changes => records.commit(changes))
  await assert.rejects(changing, { status: 409 })
  assert.deepEqual([rowsAfter, await records.count(keyRows)], [[], 0])
})

test('pending rows that a crash left behind are dropped at start', async () => {
  const { records } = await openRing()
  const [active] = await records.list(keyRows, { limit: 1000 })
  assert.ok(active)
  await records.commit([put(keyRows, `${account}/pending/00000001`, { ...active.value, status: 'pending' })])
  assert.equal(await dropBrokenOffChanges(records), 1)
  assert.deepEqual(await records.list(keyRows, { limit: 1000 }), [active])
})

test('a row that somebody else wrote into the database is not used', async () => {
  const { ring, records } = await openRing()
  const [active] = await records.list(keyRows, { limit: 1000 })
  assert.ok(active)
  await records.commit([put(keyRows, active.id, { ...active.value, generation: 2 })])
  await assert.rejects(ring.leases.keys(account), { code: 'KeyRingTampered' })
})

test('one change at a time for an account: another one is refused before its key is asked', async () => {
  const { ring, records } = await openRing()
  const first = changeKey(ring, account, otherKey(ring), all => records.commit(all))
  const late = otherKey(ring)
  let isAsked = false
  const wrap = late.wrap.bind(late)
  Object.assign(late, { wrap: (bytes: Buffer) => ((isAsked = true), wrap(bytes)) })
  await assert.rejects(
    changeKey(ring, account, late, all => records.commit(all)),
    { code: 'AnotherOperationInProgress' },
  )
  await first
  assert.equal(isAsked, false)
})

test("a customer's change waits for the service's own, which does not begin during the customer's", async () => {
  const { ring, records } = await openRing()
  const commit = (all: Change[]): Promise<unknown> => records.commit(all)
  const order: string[] = []
  const other = otherKey(ring)
  const change = (name: string, yields: boolean): Promise<unknown> =>
    changeKey(ring, account, other, commit, { yields }).then(() => order.push(name))
  await Promise.all([change('own', true), change('customer', false)])
  assert.deepEqual(order, ['own', 'customer'])
  const customers = change('customer', false)
  await assert.rejects(change('own', true), { code: 'AnotherOperationInProgress' })
  await customers
})

test("K7: a row for the right owner, with the right digest but without the service's MAC, is refused", async () => {
  const { ring, records } = await openRing()
  const [active] = await records.list(keyRows, { limit: 1000 })
  assert.ok(active)
  const kek = await ring.serviceKey(account)
  const owner = { accountId: account, generation: 1 }
  const planted = await wrapDataKey(kek, key(), owner, Buffer.alloc(32, 1), 'active')
  await assert.rejects(unwrapDataKey(kek, ring.macKey, planted), { code: 'KeyRingTampered' })
  // With the MAC of the row that it replaces, so that all the rest fits.
  for (const mac of [planted.mac, active.value.mac]) {
    await records.commit([put(keyRows, active.id, { ...planted, mac })])
    await assert.rejects(ring.leases.keys(account), { code: 'KeyRingTampered', status: 500 })
  }
})

test('K1: another key begins a generation and closes the earlier ones; another version of it does not', async () => {
  const { ring, records, blobs } = await openRing()
  const before = await blobs.create({ accountId: account, kind: 'training-data', source: source() })
  const commit = (all: Change[]): Promise<unknown> => records.commit(all)
  const enabled = await changeKey(ring, account, otherKey(ring), commit)
  assert.deepEqual([enabled.begins, enabled.generation, enabled.rewrapped], [true, 2, 1])
  await assert.rejects(records.commit(before.changes), isRetired, 'what began under the earlier generation')
  const version = otherKey(ring, {}, 'f'.repeat(32))
  const rotated = await changeKey(ring, account, version, commit)
  assert.deepEqual([rotated.begins, rotated.generation, rotated.rewrapped], [false, 2, 2])
  const disabled = await changeKey(ring, account, ring.newServiceKey(account), commit)
  assert.deepEqual([disabled.begins, disabled.generation, disabled.change], [true, 3, 4])
})

test('R20, R29: a change needs every permission on the present key, not only unwrap', async () => {
  const { ring, records } = await openRing()
  const present = otherKey(ring)
  let refused: KeyUnavailable | undefined
  const wrap = present.wrap.bind(present)
  // As a vault's key, which is asked for each permission by itself.
  Object.assign(present, {
    read: async () => ({ properties: {} }),
    explain: async (error: unknown) => error,
    wrap: (bytes: Buffer) => (refused === undefined ? wrap(bytes) : Promise.reject(refused)),
  })
  const commit = (all: Change[]): Promise<unknown> => records.commit(all)
  await changeKey(ring, account, present, commit)
  const before = await records.list(keyRows, { limit: 1000 })
  refused = new KeyUnavailable('AccessDenied', present.id)
  await assert.rejects(changeKey(ring, account, ring.newServiceKey(account), commit), {
    code: 'CustomerManagedKeyUnavailable',
    message: /needs the present key once/,
  })
  assert.deepEqual(await records.list(keyRows, { limit: 1000 }), before)
})

test('a change to a key that unwraps another data key than it wrapped is refused', async () => {
  // The first answer is about the existing data key, the second about the new one.
  for (const wrong of [1, 2]) {
    const { ring, records } = await openRing()
    const before = await records.list(keyRows, { limit: 1000 })
    const target = otherKey(ring)
    const unwrap = target.unwrap.bind(target)
    let answers = 0
    Object.assign(target, {
      unwrap: async (wrapped: Buffer): Promise<Buffer> => {
        const bound = await unwrap(wrapped)
        return ++answers === wrong ? Buffer.concat([randomBytes(32), bound.subarray(32)]) : bound
      },
    })
    const change = changeKey(ring, account, target, all => records.commit(all))
    await assert.rejects(change, { code: 'CustomerManagedKeyUnavailable', message: /KeyReplaced/ })
    assert.deepEqual(await records.list(keyRows, { limit: 1000 }), before)
  }
})

test("R15, R29: the commit that enables a customer's key destroys the service's key", async () => {
  const { ring, records } = await openRing()
  const commit = (all: Change[]): Promise<unknown> => records.commit(all)
  const former = await records.get(serviceKeys, account)
  assert.ok(former)
  await changeKey(ring, account, otherKey(ring), commit)
  assert.equal(await records.count(serviceKeys), 0)
  await changeKey(ring, account, ring.newServiceKey(account), commit)
  assert.notEqual((await records.get(serviceKeys, account))?.value.sealed, former.value.sealed)
})

test('a row that somebody else wrote while a key was changed is not overwritten', async () => {
  const { ring, records } = await openRing()
  const [active] = await records.list(keyRows, { limit: 1000 })
  assert.ok(active)
  const change = changeKey(ring, account, otherKey(ring), async all => {
    await records.commit([put(keyRows, active.id, active.value)])
    await records.commit(all)
  })
  await assert.rejects(change, { code: 'AnotherOperationInProgress', status: 409 })
  assert.deepEqual(await records.list(keyRows, { limit: 1000 }), [{ ...active, version: 2 }])
})

test('K1: what is stored after a change of key is under the new generation, even if an earlier lease is still valid', async () => {
  const { ring, records } = await openRing(60_000)
  assert.equal((await ring.leases.keys(account)).current, 1)
  const { generation } = await changeKey(ring, account, otherKey(ring), all => records.commit(all))
  assert.equal((await ring.leases.keys(account)).current, generation)
})

test('K1: another version begins a generation too, if an earlier key may have wrapped the last one', async () => {
  const { ring, records } = await openRing()
  const commit = (all: Change[]): Promise<unknown> => records.commit(all)
  const present = otherKey(ring)
  await changeKey(ring, account, present, commit)
  const { rows, state } = await ring.read(account)
  // As for an account from before there were key states.
  const own = { accountId: account, kekId: present.id, ownSince: state.value.generation + 1 }
  await records.commit([
    putState(
      ring.macKey,
      state,
      own,
      rows.map(({ value }) => value),
    ),
  ])
  const first = await changeKey(ring, account, otherKey(ring, {}, 'f'.repeat(32)), commit)
  assert.deepEqual([first.begins, first.generation], [true, 3])
  const second = await changeKey(ring, account, otherKey(ring, {}, 'e'.repeat(32)), commit)
  assert.deepEqual([second.begins, second.generation], [false, 3])
})

test('K2: a change to another version is refused if another process added a data key meanwhile', async () => {
  const { ring, records, elsewhere } = await openRing()
  const commit = (all: Change[]): Promise<unknown> => records.commit(all)
  const present = otherKey(ring)
  await changeKey(ring, account, present, commit)
  elsewhere.kek = (accountId, kekId) => ring.kek(accountId, kekId)
  const change = changeKey(ring, account, otherKey(ring, {}, 'f'.repeat(32)), async all => {
    await addGeneration(elsewhere, account, (_, added) => records.commit(added))
    await records.commit(all)
  })
  await assert.rejects(change, { code: 'AnotherOperationInProgress', status: 409 })
  const { current, kekId } = await ring.leases.keys(account)
  assert.deepEqual([current, kekId], [3, present.id])
})

import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import type { Change, Stored } from '../store/records.ts'
import { newServiceKey, openServiceKey, type KeyEncryptionKey } from './key-encryption-key.ts'
import { activate, newGeneration, unwrapDataKey, wrapDataKey, type KeyRow } from './key-ring-rows.ts'
import { checkKeyRing, putState, type KeyState, type NamedKey } from './key-state.ts'

const account = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'
const other = 'd3b07384-d113-4ec6-a6d3-5f3c2b6f1a10'
const key = (): KeyObject => createSecretKey(randomBytes(32))
const macKey = key()
const kek = serviceKeyOf(account)

function serviceKeyOf(accountId: string): KeyEncryptionKey {
  const root = key()
  return openServiceKey(root, accountId, newServiceKey(root, accountId))
}

const rowFor = (accountId = account, generation = 1, signedWith = macKey): Promise<KeyRow> =>
  newGeneration(kek, signedWith, { accountId, generation })
const stored = <T>(value: T): Stored<T> => ({ id: 'row', version: 1, value })

/** A state with a good MAC, over whatever rows, so that each check is tested alone. */
function stateOver(rows: readonly KeyRow[], accountId = account): KeyState {
  const change: Change = putState(macKey, undefined, { accountId, kekId: kek.id, ownSince: 1 }, rows)
  return change.value as KeyState
}

const check = (rows: readonly KeyRow[], state: KeyState): unknown =>
  checkKeyRing(macKey, account, { rows: rows.map(stored), state: stored(state), settings: 'service' })
const refused = (rows: readonly KeyRow[], state: KeyState, why: RegExp): void =>
  assert.throws(() => check(rows, state), { code: 'KeyRingTampered', message: why })

test('the key ring that this service wrote last is accepted', async () => {
  const rows = [await rowFor(), await rowFor(account, 2)]
  check(rows, stateOver(rows))
})

test("K7: the record of the present key is refused without the service's MAC, and under another account", async () => {
  const rows = [await rowFor()]
  const state = stateOver(rows)
  const changed: Partial<KeyState>[] = [{ change: 7 }, { ownSince: 0 }, { mac: rows[0]?.mac ?? '' }]
  for (const fields of changed) refused(rows, { ...state, ...fields }, /the record of its present key is not what/)
  refused(rows, stateOver(rows, other), /the record of its present key is not what/)
})

test("K7: a row without the service's MAC is refused before anything is unwrapped, even if the record names it", async () => {
  const rows = [await rowFor(account, 1, key())]
  refused(rows, stateOver(rows), /the row of generation 1 is not what this service wrote/)
})

test("K5, K7: another account's row is refused, although its MAC is good", async () => {
  const rows = [await rowFor(other)]
  refused(rows, stateOver(rows), /the row of generation 1 is not what this service wrote/)
})

test('K2: rows that were good once under the same key are refused: an earlier one, one too few, one too many', async () => {
  const [first, second, earlier] = [await rowFor(), await rowFor(account, 2), await rowFor()]
  const present = stateOver([first, second])
  refused([earlier, second], present, /its rows are not the present ones/)
  refused([second], present, /its rows are not the present ones/)
  refused([first, second], stateOver([second]), /its rows are not the present ones/)
  refused([first], present, /its rows are not the present ones/)
  // The last one is sealed under.
  refused([second, first], present, /its rows are not the present ones/)
})

test('K2: settings that name another key than the one of the key ring are refused: another vault, name or version', async () => {
  const [vaultUri, name, version] = ['https://v.example', 'k', 'a'.repeat(32)]
  const vaultKey = { ...kek, id: `${vaultUri}/keys/${name}/${version}` }
  const row = await newGeneration(vaultKey, macKey, { accountId: account, generation: 1 })
  const state = putState(macKey, undefined, { accountId: account, kekId: vaultKey.id, ownSince: 1 }, [row]).value
  const under = (settings: NamedKey): unknown =>
    checkKeyRing(macKey, account, { rows: [stored(row)], state: stored(state as KeyState), settings })
  under({ vaultUri, name })
  under({ vaultUri, name, version })
  under({ vaultUri: vaultUri.toUpperCase(), name: name.toUpperCase(), version })
  const others: NamedKey[] = [
    'service',
    { vaultUri: 'https://w.example', name },
    { vaultUri, name: 'k2' },
    { vaultUri, name: '' },
    { vaultUri, name, version: 'b'.repeat(32) },
    { vaultUri, name, version: '' },
  ]
  for (const settings of others)
    assert.throws(() => under(settings), { code: 'KeyRingTampered', message: /and the settings say/ })
})

test('K7: what was wrapped for another account or generation does not open in a row of this account', async () => {
  for (const owner of [
    { accountId: other, generation: 1 },
    { accountId: account, generation: 2 },
  ]) {
    const wrapped = await wrapDataKey(kek, macKey, owner, randomBytes(32), 'pending')
    const mine = await rowFor()
    const { active } = activate(macKey, { ...mine, status: 'pending', wrapped: wrapped.wrapped }, stored(mine))
    await assert.rejects(unwrapDataKey(kek, macKey, active), { code: 'KeyRingTampered' })
  }
})

test('K6: buffers with a data key that were passed to a key-encryption key, or came back from it, are overwritten', async () => {
  const seen: Uint8Array[] = []
  const watched: KeyEncryptionKey = {
    ...kek,
    wrap: bytes => {
      seen.push(bytes)
      return kek.wrap(bytes)
    },
    unwrap: async wrapped => {
      const bytes = await kek.unwrap(wrapped)
      seen.push(bytes)
      return bytes
    },
  }
  const row = await newGeneration(watched, macKey, { accountId: account, generation: 1 })
  const dataKey = await unwrapDataKey(watched, macKey, row)
  assert.ok(dataKey.some(byte => byte !== 0))
  assert.equal(seen.length, 3)
  for (const bytes of seen) assert.ok(bytes.every(byte => byte === 0))
})

import { timingSafeEqual } from 'node:crypto'
import { wipe } from '../crypto/wrap.ts'
import { mustExist, remove, type Change, type Stored } from '../store/records.ts'
import { CommitUnknown } from '../store/storage-errors.ts'
import { serviceKeyId, type KeyEncryptionKey } from './key-encryption-key.ts'
import { serviceKeys, type KeyRing, type KeyRingNow } from './key-ring.ts'
import {
  activate,
  dropPending,
  newGeneration,
  putClosed,
  putNew,
  putPending,
  unwrapDataKey,
  wrapDataKey,
  type KeyRow,
} from './key-ring-rows.ts'
import { isSameKey, keyStates, putState } from './key-state.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { oneChange } from './one-change.ts'

/** The result of a change of key. */
export interface KeyChange {
  /** Generations that were re-wrapped. */
  readonly rewrapped: number
  /** The generation for sealing after the commit. */
  readonly generation: number
  /** Whether it begins with this change. Earlier data stays under earlier generations until it is re-encrypted. */
  readonly begins: boolean
  /** Count of the account's changes of its key ring. */
  readonly change: number
}

type Commit = (changes: Change[], change: KeyChange) => Promise<unknown>

/**
 * Re-wraps the account's data keys with another key-encryption key. R18: never re-encrypts, so the cost is the number of
 * generations, not of blobs. Enabling, updating the version, another key and disabling (R29) all come through here.
 * @param options as for `oneChange`
 * @param commit writes the key ring's changes together with the account's settings and the audit record, in one transaction
 * @throws KeyUnavailable when the present or the new key can't be used; then nothing has changed
 */
export function changeKey(
  ring: KeyRing,
  accountId: string,
  target: KeyEncryptionKey,
  commit: Commit,
  options: { yields?: boolean } = {},
): Promise<KeyChange> {
  return oneChange(ring, accountId, options, () => rewrap(ring, accountId, target, commit))
}

async function rewrap(ring: KeyRing, accountId: string, target: KeyEncryptionKey, commit: Commit): Promise<KeyChange> {
  try {
    // R20, R29: with unwrap alone, the data would still be readable after get or wrapKey was taken away.
    await ring.leases.probe(accountId).catch(presentKeyNeeded)
    const before = await ring.read(accountId)
    await destroyPending(ring, accountId)
    const pending = await wrapPending(ring, accountId, target, before)
    await verifyPending(ring, target, pending)
    const { changes, change } = await switchTo(ring, accountId, target, before, pending)
    // Whatever the result of the commit, unwrapped keys in memory may be of another ring now.
    await commit(changes, change).finally(() => ring.leases.end(accountId))
    return change
  } catch (error) {
    // The next change or start finds what is left.
    if (error instanceof CommitUnknown) throw error
    await destroyPending(ring, accountId)
    throw error
  }
}

/** Pending rows never count, but they open the data. So they are removed and shredded in a commit of their own. */
async function destroyPending(ring: KeyRing, accountId: string): Promise<void> {
  const left = await dropPending(ring.records, accountId)
  if (left.length > 0) await ring.records.commit(left)
}

/**
 * K1: under another key a new generation begins, and the earlier ones are closed. So somebody with the former key and a copy of the
 * folder from then opens nothing that is stored afterwards. A new version of the same key does not begin one: whoever may use one
 * version may use the other, and the number of generations must not grow with each rotation.
 */
async function switchTo(
  ring: KeyRing,
  accountId: string,
  target: KeyEncryptionKey,
  { state, rows }: KeyRingNow,
  pending: readonly Pending[],
): Promise<{ changes: Change[]; change: KeyChange }> {
  const { kekId, generation: last, ownSince } = state.value
  const begins = !isSameKey(kekId, target.id) || last < ownSince
  const generation = begins ? last + 1 : last
  const added = begins ? [await newGeneration(target, ring.macKey, { accountId, generation })] : []
  const activated = pending.map(({ row, replaced }) => activate(ring.macKey, row, replaced))
  const all = [...activated.map(({ active }) => active), ...added]
  const own = { accountId, kekId: target.id, ownSince: begins ? generation : ownSince }
  // R29: the service's key is destroyed when a customer's takes its place, and disabling makes another one.
  const serviceKey = target.id === serviceKeyId(accountId) ? (target.kept ?? []) : remove(serviceKeys, accountId)
  const changes = [
    ...activated.flatMap(one => one.changes),
    ...added.map(putNew),
    ...(begins ? rows.map(({ value }) => putClosed(value)) : []),
    putState(ring.macKey, state, own, all),
    serviceKey,
  ].flat()
  return { changes, change: { rewrapped: rows.length, generation, begins, change: state.value.change + 1 } }
}

interface Pending {
  readonly row: KeyRow
  readonly replaced: Stored<KeyRow>
  readonly dataKey: Buffer
}

/** Unwraps with the present key, always by asking its vault and never from a lease, which proves access to it. */
async function wrapPending(
  ring: KeyRing,
  accountId: string,
  target: KeyEncryptionKey,
  { rows, state }: KeyRingNow,
): Promise<Pending[]> {
  const pending: Pending[] = []
  for (const replaced of rows) {
    const { generation, kekId } = replaced.value
    const dataKey = await unwrapDataKey(await ring.kek(accountId, kekId), ring.macKey, replaced.value).catch(
      presentKeyNeeded,
    )
    const row = await wrapDataKey(target, ring.macKey, { accountId, generation }, dataKey, 'pending')
    pending.push({ row, replaced, dataKey })
  }
  // Wrapping takes long, and the account may be purged meanwhile.
  const held = mustExist(keyStates, accountId, state.version)
  await ring.records.commit([held, ...pending.map(({ row }) => putPending(row))])
  return pending
}

function presentKeyNeeded(error: unknown): never {
  if (!(error instanceof KeyUnavailable)) throw error
  throw error.because('The key was not changed: re-wrapping the data keys needs the present key once.')
}

/** Checks that the new key gives back what went in, before anything depends on it. */
async function verifyPending(ring: KeyRing, target: KeyEncryptionKey, pending: readonly Pending[]): Promise<void> {
  for (const { row, dataKey } of pending) {
    const again = await unwrapDataKey(target, ring.macKey, row)
    const same = timingSafeEqual(again, dataKey)
    wipe(again)
    wipe(dataKey)
    if (!same) throw new KeyUnavailable('KeyReplaced', target.id)
  }
}

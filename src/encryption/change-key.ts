import { timingSafeEqual } from 'node:crypto'
import { wipe } from '../crypto/wrap.ts'
import type { Change, Stored } from '../store/records.ts'
import type { KeyEncryptionKey } from './key-encryption-key.ts'
import type { KeyRing } from './key-ring.ts'
import { activate, dropPending, putPending, rowsOf, unwrapDataKey, wrapDataKey, type KeyRow } from './key-ring-rows.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { oneChange } from './one-change.ts'

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
  commit: (changes: Change[]) => Promise<void>,
  options: { yields?: boolean } = {},
): Promise<{ rewrapped: number }> {
  return oneChange(ring, accountId, options, () => rewrap(ring, accountId, target, commit))
}

async function rewrap(
  ring: KeyRing,
  accountId: string,
  target: KeyEncryptionKey,
  commit: (changes: Change[]) => Promise<void>,
): Promise<{ rewrapped: number }> {
  try {
    // R20, R29: unwrapping alone would let the data out after get or wrapKey was taken away.
    await ring.leases.probe(accountId).catch(presentKeyNeeded)
    const rows = await rowsOf(ring.records, accountId, 'active')
    const pending = await wrapPending(ring, accountId, target, rows)
    await verifyPending(ring, target, pending)
    await commit(pending.flatMap(({ row, replaced }) => activate(ring.macKey, row, replaced)))
    ring.leases.end(accountId)
    return { rewrapped: rows.length }
  } catch (error) {
    await ring.records.commit(await dropPending(ring.records, accountId))
    throw error
  }
}

interface Pending {
  readonly row: KeyRow
  readonly replaced: Stored<KeyRow>
  readonly dataKey: Buffer
}

/** Unwraps with the present key, live and never from a lease: that proves access to it. */
async function wrapPending(
  ring: KeyRing,
  accountId: string,
  target: KeyEncryptionKey,
  rows: readonly Stored<KeyRow>[],
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
  await ring.records.commit(pending.map(({ row }) => putPending(row)))
  return pending
}

function presentKeyNeeded(error: unknown): never {
  if (!(error instanceof KeyUnavailable)) throw error
  throw error.because('The key was not changed: re-wrapping the data keys needs the present key once.')
}

/** What the new key gives back must be what went in, before anything depends on it. */
async function verifyPending(ring: KeyRing, target: KeyEncryptionKey, pending: readonly Pending[]): Promise<void> {
  for (const { row, dataKey } of pending) {
    const again = await unwrapDataKey(target, ring.macKey, row)
    const same = timingSafeEqual(again, dataKey)
    wipe(again)
    wipe(dataKey)
    if (!same) throw new KeyUnavailable('KeyReplaced', target.id)
  }
}

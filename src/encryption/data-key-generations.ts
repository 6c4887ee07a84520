import { timingSafeEqual } from 'node:crypto'
import { newDataKey, wipe } from '../crypto/wrap.ts'
import { NotFound } from '../http/errors.ts'
import { remove, type Change } from '../store/records.ts'
import {
  heldBy,
  isRetired,
  keyRows,
  putClosed,
  putNew,
  removeClosed,
  rowsOf,
  unwrapDataKey,
  wrapDataKey,
} from './key-ring-rows.ts'
import type { KeyRing } from './key-ring.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { oneChange } from './one-change.ts'

/**
 * Gives the account a new data key, wrapped by its present key-encryption key; from the commit on everything new is sealed
 * under it. @throws KeyUnavailable, 404 KeyRingNotFound, 409 AnotherOperationInProgress; then nothing has changed
 */
export function addGeneration(
  ring: KeyRing,
  accountId: string,
  commit: (generation: number, changes: Change[]) => Promise<void>,
): Promise<number> {
  return oneChange(ring, accountId, {}, async () => {
    await ring.leases.probe(accountId)
    const last = (await rowsOf(ring.records, accountId, 'active')).at(-1)
    if (last === undefined) throw noDataKeys()
    const generation = last.value.generation + 1
    const kek = await ring.kek(accountId, last.value.kekId)
    const dataKey = newDataKey()
    try {
      const row = await wrapDataKey(kek, ring.macKey, { accountId, generation }, dataKey, 'active')
      // What the vault gives back must be what went in, before anything depends on it.
      const again = await unwrapDataKey(kek, ring.macKey, row)
      if (!timingSafeEqual(again, dataKey)) throw new KeyUnavailable('KeyReplaced', kek.id)
      wipe(again)
      // Asking the vault takes its time: an account that is purged meanwhile gets no new key.
      await commit(generation, [putNew(row), ...heldBy(accountId, last.value.generation)]).catch((error: unknown) => {
        throw isRetired(error) ? noDataKeys() : error
      })
    } finally {
      wipe(dataKey)
    }
    ring.leases.end(accountId)
    return generation
  })
}

/**
 * What was sealed under a data key before `generation` and is not committed yet can't be committed from then on: whoever looks
 * afterwards what is left under them sees all there will ever be.
 */
export async function closeGenerations({ records }: KeyRing, accountId: string, generation: number): Promise<void> {
  const rows = await rowsOf(records, accountId, 'active')
  await records.commit(rows.filter(({ value }) => value.generation < generation).map(({ value }) => putClosed(value)))
}

/**
 * Destroys the data keys before `generation`, which were closed and which nothing is sealed under any more. Needs no vault.
 * @throws 409 AnotherOperationInProgress
 */
export function retireGenerations(
  ring: KeyRing,
  accountId: string,
  generation: number,
  commit: (changes: Change[]) => Promise<void>,
): Promise<void> {
  return oneChange(ring, accountId, { yields: true }, async () => {
    const rows = await rowsOf(ring.records, accountId, 'active')
    const former = rows.filter(({ value }) => value.generation < generation)
    await commit(former.flatMap(({ id, version, value }) => [remove(keyRows, id, version), removeClosed(value)]))
    ring.leases.end(accountId)
  })
}

function noDataKeys(): NotFound {
  return new NotFound('KeyRingNotFound', 'The account has no data keys: it was deleted.')
}

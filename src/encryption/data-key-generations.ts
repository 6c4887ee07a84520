import { remove, type Change } from '../store/records.ts'
import { heldBy, isRetired, keyRows, newGeneration, putClosed, putNew, removeClosed, rowsOf } from './key-ring-rows.ts'
import { noDataKeys, type KeyRing } from './key-ring.ts'
import { putState } from './key-state.ts'
import { oneChange } from './one-change.ts'

/**
 * Gives the account a new data key, wrapped by its present key-encryption key. After the commit everything new is sealed under
 * it. @throws KeyUnavailable, 404 KeyRingNotFound, 409 AnotherOperationInProgress; then nothing has changed
 */
export function addGeneration(
  ring: KeyRing,
  accountId: string,
  commit: (generation: number, changes: Change[]) => Promise<unknown>,
): Promise<number> {
  return oneChange(ring, accountId, {}, async () => {
    await ring.leases.probe(accountId)
    const { rows, state } = await ring.read(accountId)
    const { kekId, generation: last } = state.value
    const generation = last + 1
    const row = await newGeneration(await ring.kek(accountId, kekId), ring.macKey, { accountId, generation })
    const all = [...rows.map(({ value }) => value), row]
    // Asking the vault takes time, and an account that is purged meanwhile must not get a new key.
    const changes = [putNew(row), ...heldBy(accountId, last), putState(ring.macKey, state, state.value, all)]
    await commit(generation, changes).catch(async (error: unknown) => {
      throw isRetired(error) && (await rowsOf(ring.records, accountId, 'active')).length === 0 ? noDataKeys() : error
    })
    ring.leases.end(accountId)
    return generation
  })
}

/**
 * Closes the generations before `generation`: data that was sealed under them and is not committed yet can't be committed any more.
 * So a look afterwards sees everything that will ever be under them.
 */
export async function closeGenerations({ records }: KeyRing, accountId: string, generation: number): Promise<void> {
  const rows = await rowsOf(records, accountId, 'active')
  await records.commit(rows.filter(({ value }) => value.generation < generation).map(({ value }) => putClosed(value)))
}

/**
 * Destroys the data keys before `generation`, which were closed and have no data any more. Needs no vault.
 * @throws 409 AnotherOperationInProgress
 */
export function retireGenerations(
  ring: KeyRing,
  accountId: string,
  generation: number,
  commit: (changes: Change[]) => Promise<unknown>,
): Promise<void> {
  return oneChange(ring, accountId, { yields: true }, async () => {
    const { rows, state } = await ring.read(accountId)
    const former = rows.filter(({ value }) => value.generation < generation)
    const left = rows.filter(({ value }) => value.generation >= generation).map(({ value }) => value)
    const gone = former.flatMap(({ id, version, value }) => [remove(keyRows, id, version), removeClosed(value)])
    await commit([...gone, putState(ring.macKey, state, state.value, left)])
    ring.leases.end(accountId)
  })
}

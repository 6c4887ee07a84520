import { Conflict } from '../http/errors.ts'
import { VersionConflict } from '../store/records.ts'
import { closedGenerations, keyRows } from './key-ring-rows.ts'
import type { KeyRing } from './key-ring.ts'
import { keyStates } from './key-state.ts'

function changedAlready(cause?: unknown): Conflict {
  return new Conflict(
    'AnotherOperationInProgress',
    "The account's key is being changed already. Wait for that change to end, then try again.",
    { cause },
  )
}

function isOfKeyRing(error: unknown): boolean {
  return (
    error instanceof VersionConflict &&
    [keyRows.name, closedGenerations.name, keyStates.name].includes(error.collection)
  )
}

interface Running {
  readonly yields: boolean
  readonly ended: Promise<unknown>
}

/** Changes under way, by account id. */
const changing = new WeakMap<KeyRing, Map<string, Running>>()

/**
 * One change of an account's key ring at a time.
 * @param options `yields`: a change of the service's own. A customer's change waits for it, and it does not begin during another
 * @throws 409 AnotherOperationInProgress
 */
export async function oneChange<T>(
  ring: KeyRing,
  accountId: string,
  { yields = false }: { yields?: boolean },
  change: () => Promise<T>,
): Promise<T> {
  const running = changing.get(ring) ?? new Map<string, Running>()
  changing.set(ring, running)
  const other = running.get(accountId)
  if (other?.yields === true && !yields) await other.ended
  if (running.has(accountId)) throw changedAlready()
  const result = change()
    .catch((error: unknown) => {
      // By another process: each change writes the state of the key ring over the one that it began from.
      throw isOfKeyRing(error) ? changedAlready(error) : error
    })
    .finally(() => running.delete(accountId))
  running.set(accountId, { yields, ended: result.catch(() => undefined) })
  return result
}

import { Conflict } from '../http/errors.ts'
import type { KeyRing } from './key-ring.ts'

interface Running {
  readonly yields: boolean
  readonly ended: Promise<unknown>
}

/** Changes under way, by account id. */
const changing = new WeakMap<KeyRing, Map<string, Running>>()

/**
 * One change of an account's key ring at a time.
 * @param options `yields`: the service's own change, which a customer's waits for, and which does not begin during another
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
  if (running.has(accountId))
    throw new Conflict(
      'AnotherOperationInProgress',
      "The account's key is being changed already. Wait for that change to end, then try again.",
    )
  const result = change().finally(() => running.delete(accountId))
  running.set(accountId, { yields, ended: result.catch(() => undefined) })
  return result
}

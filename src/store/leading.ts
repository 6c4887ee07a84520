import { repeatedly, type Repeating } from '../base/repeatedly.ts'
import type { Lease, Leases } from './leases.ts'

/** Milliseconds without a sign of life of the process that does a task after which another process does it. */
const LEADER_MS = 30_000

/** @param lease its fence is for the commits of the task */
export type LeaderTask = (lease: Pick<Lease, 'fence' | 'signal'>) => Promise<void>

/** A repeated task that one process of a store does for all: the one that has its lease, which it keeps until it ends. */
export function leading(
  leases: Leases,
  { name, everyMs }: { readonly name: string; readonly everyMs: number },
  run: LeaderTask,
  onFailure: (error: unknown) => void,
): Repeating {
  let lease: Lease | undefined
  const once = async (): Promise<void> => {
    if (lease?.signal.aborted) lease = undefined
    lease ??= await leases.claim(name, LEADER_MS)
    if (lease !== undefined) await run(lease)
  }
  const repeating = repeatedly(once, everyMs, onFailure)
  return {
    async stop(last) {
      await repeating.stop(last)
      // It ends by itself. What else ends with the service must not wait for it.
      await lease?.release().catch(onFailure)
    },
  }
}

import type { JobStatus } from './records.ts'

/**
 * The moves between states of a job; docs/states.md draws them and says who makes them. `pending` to `pending` tells why it waits again,
 * `running` to `running` that another process took it up from one that is gone.
 */
export const JOB_MOVES: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  pending: ['pending', 'running', 'paused', 'cancelled', 'failed'],
  running: ['running', 'pending', 'paused', 'cancelled', 'failed', 'succeeded'],
  paused: ['pending', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
}

/** States that a job never leaves. */
export const FINISHED: ReadonlySet<JobStatus> = new Set(
  (Object.keys(JOB_MOVES) as JobStatus[]).filter(status => JOB_MOVES[status].length === 0),
)

/** @throws Error when a job can't move so. It is a bug of the caller, and nothing is written. */
export function checkMove(from: JobStatus, to: JobStatus): void {
  if (!JOB_MOVES[from].includes(to)) throw new Error(`A job that is ${from} can't become ${to}.`)
}

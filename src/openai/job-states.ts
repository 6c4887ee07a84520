import type { JobStatus } from './records.ts'

/**
 * What a job can become, and from what; docs/states.md draws it and says who moves it. `pending` to `pending` tells why it waits again,
 * `running` to `running` that another run took it up from one that is gone.
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

/** @throws Error when a job can't go from one to the other: a fault of the caller, nothing is written */
export function checkMove(from: JobStatus, to: JobStatus): void {
  if (!JOB_MOVES[from].includes(to)) throw new Error(`A job that is ${from} can't become ${to}.`)
}

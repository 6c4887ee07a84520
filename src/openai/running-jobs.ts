import type { Change } from '../store/records.ts'

/** States that a running job can be told to take. */
export type StopsTo = 'paused' | 'cancelled' | 'pending'

/** Why a run was told to stop. */
export class Stopped extends Error {
  readonly to: StopsTo

  constructor(to: StopsTo) {
    super(`The job was ${to}.`)
    this.name = 'Stopped'
    this.to = to
  }
}

export interface RunningJob {
  /** How it is told to end. */
  readonly stop: (to: StopsTo) => void
  /** The fence of its lease, which is in every commit about it. */
  readonly fence: readonly Change[]
}

/** The jobs that run in this process, by id. Requests stop a job through it, and the job's run writes the state. */
export class RunningJobs {
  readonly #jobs = new Map<string, RunningJob>()

  add(jobId: string, job: RunningJob): void {
    this.#jobs.set(jobId, job)
  }

  delete(jobId: string): void {
    this.#jobs.delete(jobId)
  }

  /** @returns false where it does not run here */
  stop(jobId: string, to: StopsTo): boolean {
    const job = this.#jobs.get(jobId)
    job?.stop(to)
    return job !== undefined
  }

  stopAll(to: StopsTo): void {
    for (const { stop } of this.#jobs.values()) stop(to)
  }

  /** The fence for a commit about the job; empty where it does not run here. */
  fenceOf(jobId: string): readonly Change[] {
    return this.#jobs.get(jobId)?.fence ?? []
  }
}

/** What a running job can be told to become. */
export type StopsTo = 'paused' | 'cancelled' | 'pending'

/** The jobs that run in this process, by id: who wants one to stop tells it here, and its run writes the state. */
export class RunningJobs {
  readonly #stops = new Map<string, (to: StopsTo) => void>()

  /** @param stop how the job is told to end */
  add(jobId: string, stop: (to: StopsTo) => void): void {
    this.#stops.set(jobId, stop)
  }

  delete(jobId: string): void {
    this.#stops.delete(jobId)
  }

  /** @returns false where it does not run */
  stop(jobId: string, to: StopsTo): boolean {
    const stop = this.#stops.get(jobId)
    stop?.(to)
    return stop !== undefined
  }

  stopAll(to: StopsTo): void {
    for (const stop of this.#stops.values()) stop(to)
  }
}

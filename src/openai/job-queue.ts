export interface JobQueueOptions {
  /** Jobs that run at the same time. */
  readonly atOnce: number
  readonly log: (message: string, error: unknown) => void
}

/**
 * Waiting jobs of all accounts, by record id (`<account id>/<job id>`), run by a number of workers. An account's own jobs run in
 * their order. A free worker takes the account with the fewest running jobs and, among those, the one that was served longest ago,
 * so nobody waits behind all jobs of another account.
 */
export class JobQueue {
  readonly #options: JobQueueOptions
  #run: ((recordId: string) => Promise<void>) | undefined
  readonly #waiting = new Map<string, Set<string>>()
  readonly #running = new Map<string, Promise<void>>()
  /** When an account was served last, as a count. Accounts that were never served come first. */
  readonly #served = new Map<string, number>()
  #count = 0
  #isClosed = false

  constructor(options: JobQueueOptions) {
    this.#options = options
  }

  /** Starts the workers. @param run its errors go to `log` */
  start(run: (recordId: string) => Promise<void>): void {
    this.#run = run
    this.#fill()
  }

  /** Does nothing for a job that waits already. A job that runs will run again. */
  add(recordId: string): void {
    const accountId = accountOf(recordId)
    const own = this.#waiting.get(accountId) ?? new Set()
    this.#waiting.set(accountId, own.add(recordId))
    this.#fill()
  }

  /** Begins no more jobs. Resolves when the running ones have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#running.values())
  }

  #fill(): void {
    const run = this.#run
    if (run === undefined) return
    while (!this.#isClosed && this.#running.size < this.#options.atOnce) {
      const recordId = this.#next()
      if (recordId === undefined) return
      this.#running.set(recordId, this.#work(recordId, run))
    }
  }

  async #work(recordId: string, run: (recordId: string) => Promise<void>): Promise<void> {
    // The caller's turn ends first.
    await Promise.resolve()
    try {
      await run(recordId)
    } catch (error) {
      this.#options.log('The job runner failed', error)
    }
    this.#running.delete(recordId)
    this.#fill()
  }

  #next(): string | undefined {
    const busy = (accountId: string): number =>
      [...this.#running.keys()].filter(recordId => accountOf(recordId) === accountId).length
    const rank = (accountId: string): [number, number] => [busy(accountId), this.#served.get(accountId) ?? 0]
    const ready = [...this.#waiting].flatMap(([accountId, own]) => {
      const recordId = [...own].find(one => !this.#running.has(one))
      return recordId === undefined ? [] : [{ accountId, own, recordId, rank: rank(accountId) }]
    })
    const [first] = ready.toSorted((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1])
    if (first === undefined) return undefined
    first.own.delete(first.recordId)
    if (first.own.size === 0) this.#waiting.delete(first.accountId)
    this.#served.set(first.accountId, (this.#count += 1))
    return first.recordId
  }
}

function accountOf(recordId: string): string {
  return recordId.slice(0, recordId.indexOf('/'))
}

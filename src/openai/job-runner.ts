import type { KeyRing } from '../encryption/key-ring.ts'
import { isRetired } from '../encryption/key-ring-rows.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { Trainer } from '../engines/engine.ts'
import { AzureError } from '../http/errors.ts'
import { leaveOut } from '../store/records.ts'
import type { Stored } from '../store/records.ts'
import { JobRun } from './job-run.ts'
import type { Jobs } from './jobs.ts'
import { jobs, type JobRecord } from './records.ts'

/** Why a run was told to stop. */
class Stopped extends Error {
  readonly to: 'paused' | 'cancelled' | 'pending'

  constructor(to: 'paused' | 'cancelled' | 'pending') {
    super(`The job was ${to}.`)
    this.name = 'Stopped'
    this.to = to
  }
}

/** Runs waiting jobs one after another: training takes every core there is. */
export class JobRunner {
  readonly #options: { jobs: Jobs; ring: KeyRing; trainer: Trainer; log: (message: string, error?: unknown) => void }
  #running: { jobId: string; abort: AbortController } | undefined
  /** Record ids of jobs that may be waiting, first come first. */
  readonly #queue = new Set<string>()
  #loop: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: {
    jobs: Jobs
    ring: KeyRing
    trainer: Trainer
    log: (message: string, error?: unknown) => void
  }) {
    this.#options = options
    options.jobs.onPending = recordId => this.#enqueue(recordId)
    options.jobs.onStop = (jobId, to) => {
      if (this.#running?.jobId !== jobId) return false
      this.#running.abort.abort(new Stopped(to))
      return true
    }
  }

  /** Jobs that were running when the service ended go on from their last checkpoint, before those that waited. */
  async start(): Promise<void> {
    const { jobs: service } = this.#options
    const stored = await service.options.accounts.options.records.list(jobs, { onTampered: leaveOut })
    const unfinished = stored.filter(({ value }) => value.status === 'running' || value.status === 'pending')
    const rank = ({ value }: Stored<JobRecord>): string => `${value.status === 'running' ? 0 : 1}${value.jobId}`
    for (const job of unfinished.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
      const message = 'The service was restarted. The job goes on from its last checkpoint.'
      if (job.value.status === 'running') await service.move(job, { status: 'pending' }, 'warning', message)
      this.#enqueue(job.id)
    }
  }

  #enqueue(recordId: string): void {
    this.#queue.add(recordId)
    this.#loop = this.#loop
      .then(() => this.#runWaiting())
      .catch((error: unknown) => this.#options.log('The job runner failed', error))
  }

  /** The running job becomes pending again; resolves when its process has ended. */
  async close(): Promise<void> {
    this.#closed = true
    this.#running?.abort.abort(new Stopped('pending'))
    await this.#loop
  }

  async #runWaiting(): Promise<void> {
    const { records } = this.#options.jobs.options.accounts.options
    for (const recordId of this.#queue) {
      if (this.#closed) return
      this.#queue.delete(recordId)
      const stored = await records.get(jobs, recordId)
      if (stored?.value.status === 'pending') await this.#runOne(stored)
    }
  }

  async #runOne(stored: Stored<JobRecord>): Promise<void> {
    const { jobs: service, ring, trainer } = this.#options
    const { jobId, accountId } = stored.value
    const abort = new AbortController()
    this.#running = { jobId, abort }
    try {
      const account = await service.options.accounts.byId(accountId)
      if (account === undefined) throw new AzureError('notFound', 404, 'The account of the job was deleted.')
      const job = await service.move(stored, { status: 'running' }, 'info', 'Job started.')
      await new JobRun({
        jobs: service,
        ring,
        trainer,
        account,
        stored: { id: stored.id, version: stored.version + 1, value: job },
      }).run(abort.signal)
    } catch (error) {
      await this.#ended(stored, abort.signal.aborted ? abort.signal.reason : error)
    } finally {
      this.#running = undefined
    }
  }

  async #ended(before: Stored<JobRecord>, error: unknown): Promise<void> {
    const { jobs: service, log } = this.#options
    const stored = await service.options.accounts.options.records.get(jobs, before.id)
    if (stored === undefined || !['pending', 'running'].includes(stored.value.status)) return
    const finishedAt = Math.floor(service.options.accounts.options.env.now() / 1000)
    if (error instanceof Stopped) {
      const messages = {
        paused: 'Job paused. Resume goes on from the last checkpoint.',
        cancelled: 'Job cancelled.',
        pending: 'The service is stopping. The job goes on when it starts again.',
      }
      await service.move(
        stored,
        { status: error.to, ...(error.to === 'cancelled' ? { finishedAt } : {}) },
        'info',
        messages[error.to],
      )
    } else if (isRetired(error)) {
      const message = 'The data was re-encrypted meanwhile. The job goes on from its last checkpoint.'
      await service.move(stored, { status: 'pending' }, 'warning', message)
      this.#enqueue(stored.id)
    } else if (error instanceof KeyUnavailable) {
      // R23: what was trained up to the last checkpoint is sealed and waits for the key.
      await service.move(
        stored,
        { status: 'paused' },
        'error',
        `Job paused: ${error.message} Resume the job when the key is available again.`,
      )
    } else {
      log(`The fine-tuning job ${stored.value.jobId} failed`, error)
      const message = error instanceof Error ? error.message : 'The training engine failed.'
      const code = error instanceof AzureError ? error.code : 'internalFailure'
      await service.move(
        stored,
        { status: 'failed', finishedAt, error: { code, message } },
        'error',
        `Job failed: ${message}`,
      )
    }
  }
}

import type { KeyRing } from '../encryption/key-ring.ts'
import { isRetired } from '../encryption/key-ring-rows.ts'
import { KeyRingTampered } from '../encryption/key-ring-tampered.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { PlaintextHold } from '../encryption/plaintext-holds.ts'
import type { Trainer } from '../engines/engine.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { leaveOut } from '../store/records.ts'
import type { Stored } from '../store/records.ts'
import { JobQueue } from './job-queue.ts'
import { JobRun } from './job-run.ts'
import type { Jobs } from './jobs.ts'
import { isOwnJob, jobs, type JobRecord } from './records.ts'

const ATTEMPTS = 5
/** A job that is paused may keep a checkpoint first, if its step ends so soon. */
const LAST_CHECKPOINT_MS = 3000

/** Why a run was told to stop. */
class Stopped extends Error {
  readonly to: 'paused' | 'cancelled' | 'pending'

  constructor(to: 'paused' | 'cancelled' | 'pending') {
    super(`The job was ${to}.`)
    this.name = 'Stopped'
    this.to = to
  }
}

/** Runs waiting jobs, one at a time unless told otherwise: training takes every core there is. */
export class JobRunner {
  readonly #options: { jobs: Jobs; ring: KeyRing; trainer: Trainer; log: (message: string, error?: unknown) => void }
  /** How each is told to stop, by job id. */
  readonly #running = new Map<string, (to: Stopped['to']) => void>()
  readonly #queue: JobQueue
  #isClosed = false

  constructor(options: {
    jobs: Jobs
    ring: KeyRing
    trainer: Trainer
    log: (message: string, error?: unknown) => void
    /** Jobs that run at the same time. */
    atOnce: number
  }) {
    this.#options = options
    this.#queue = new JobQueue({ ...options, run: recordId => this.#runWaiting(recordId) })
    options.jobs.onPending = recordId => this.#queue.add(recordId)
    options.jobs.onStop = (jobId, to) => {
      const stop = this.#running.get(jobId)
      stop?.(to)
      return stop !== undefined
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
      this.#queue.add(job.id)
    }
  }

  /** Running jobs become pending again; resolves when their processes have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const stop of this.#running.values()) stop('pending')
    await this.#queue.close()
  }

  async #runWaiting(recordId: string): Promise<void> {
    const stored = await this.#options.jobs.options.accounts.options.records.get(jobs, recordId)
    // K5: a job that says it is somebody else's would train on their data.
    if (stored !== undefined && !isOwnJob(stored, recordId.split('/')[0] ?? ''))
      this.#options.log(`The record of the job ${recordId} was changed from outside: it is not run`)
    else if (stored?.value.status === 'pending' && !this.#isClosed) await this.#runOne(stored)
  }

  async #runOne(stored: Stored<JobRecord>): Promise<void> {
    const { jobs: service, ring, trainer } = this.#options
    const { jobId, accountId } = stored.value
    const [abort, pause] = [new AbortController(), new AbortController()]
    this.#running.set(jobId, to => {
      const reason = new Stopped(to)
      if (to === 'cancelled') abort.abort(reason)
      else pause.abort(reason)
      setTimeout(() => abort.abort(reason), LAST_CHECKPOINT_MS).unref()
    })
    let hold: PlaintextHold | undefined
    try {
      const account = await service.options.accounts.byId(accountId)
      if (account === undefined) throw new AzureError('notFound', 404, 'The account of the job was deleted.')
      const job = await service.move(stored, { status: 'running' }, 'info', 'Job started.')
      // R23: the job's process holds plaintext; it is killed when the lease is over, however long its next write is off.
      hold = await ring.leases.hold(accountId)
      const run = { id: stored.id, version: stored.version + 1, value: job }
      await new JobRun({ jobs: service, ring, trainer, account, stored: run }).run(
        AbortSignal.any([abort.signal, hold.signal]),
        pause.signal,
      )
    } catch (error) {
      const [why] = [abort.signal, pause.signal, hold?.signal].filter(signal => signal?.aborted)
      await this.#ended(stored, why === undefined ? error : why.reason)
    } finally {
      hold?.release()
      this.#running.delete(jobId)
    }
  }

  /** What the run was writing when it was told to stop may come in between. */
  async #ended(before: Stored<JobRecord>, error: unknown): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#writeEnd(before, error)
      } catch (failure) {
        if (!(failure instanceof Conflict) || attempt === ATTEMPTS) throw failure
      }
    }
  }

  async #writeEnd(before: Stored<JobRecord>, error: unknown): Promise<void> {
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
      const message = 'The resource got another data key meanwhile. The job goes on from its last checkpoint.'
      await service.move(stored, { status: 'pending' }, 'warning', message)
      this.#queue.add(stored.id)
    } else if (error instanceof KeyUnavailable && error.reason === 'LeaseEnded') {
      const message = 'The machine slept, or the service stood still. The job goes on from its last checkpoint.'
      await service.move(stored, { status: 'pending' }, 'warning', message)
      this.#queue.add(stored.id)
    } else if (error instanceof KeyUnavailable) {
      // R23: what was trained up to the last checkpoint is sealed and waits for the key.
      await service.move(
        stored,
        { status: 'paused' },
        'error',
        `Job paused: ${error.message} Resume the job when the key is available again.`,
      )
    } else if (error instanceof KeyRingTampered) {
      // A backup of the database brings the key ring back, and the job goes on then.
      await service.move(stored, { status: 'paused' }, 'error', `Job paused: ${error.message} Then resume the job.`)
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

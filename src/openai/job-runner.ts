import type { KeyRing } from '../encryption/key-ring.ts'
import type { PlaintextHold } from '../encryption/plaintext-holds.ts'
import type { Trainer } from '../engines/engine.ts'
import { AzureError } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import { leaveOut } from '../store/records.ts'
import type { Stored } from '../store/records.ts'
import { storageTrouble } from '../store/storage-errors.ts'
import { JobEnds, Stopped } from './job-ends.ts'
import { JobQueue } from './job-queue.ts'
import { JobRun } from './job-run.ts'
import type { Jobs } from './jobs.ts'
import { isOwnJob, jobs, type JobRecord } from './records.ts'

/** A job that is paused may seal the checkpoint that its process sends at once. */
const LAST_CHECKPOINT_MS = 5000

/** Runs waiting jobs, one at a time unless told otherwise: training takes every core there is. */
export class JobRunner {
  readonly #options: { jobs: Jobs; ring: KeyRing; trainer: Trainer; log: (message: string, error?: unknown) => void }
  /** How each is told to stop, by job id. */
  readonly #running = new Map<string, (to: Stopped['to']) => void>()
  readonly #queue: JobQueue
  readonly #ends: JobEnds
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
    this.#ends = new JobEnds(options.jobs, options.log, recordId => this.#queue.add(recordId))
    options.jobs.onPending = recordId => this.#queue.add(recordId)
    options.jobs.onStop = (jobId, to) => {
      const stop = this.#running.get(jobId)
      stop?.(to)
      return stop !== undefined
    }
  }

  /** Jobs that were running when the service ended go on from their last checkpoint, before those that waited. */
  async start(): Promise<void> {
    const { jobs: service, log } = this.#options
    const { records } = service.options.accounts.options
    const unfinished: Stored<JobRecord>[] = []
    for await (const stored of everyRecord(records, jobs, { onTampered: leaveOut }))
      if (stored.value.status === 'running' || stored.value.status === 'pending') unfinished.push(stored)
    const rank = ({ value }: Stored<JobRecord>): string => `${value.status === 'running' ? 0 : 1}${value.jobId}`
    for (const job of unfinished.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
      const message = 'The service was restarted. The job goes on from its last checkpoint.'
      try {
        if (job.value.status === 'running') await service.move(job, { status: 'pending' }, 'warning', message)
      } catch (error) {
        // A full disk does not keep the service from starting; the run says so once it can be written.
        if (storageTrouble(error) === undefined) throw error
        log(`The job ${job.value.jobId} can't be taken up yet`, error)
      }
      this.#queue.add(job.id)
    }
  }

  /** Running jobs become pending again; resolves when their processes have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const stop of this.#running.values()) stop('pending')
    this.#ends.close()
    await this.#queue.close()
  }

  async #runWaiting(recordId: string): Promise<void> {
    const stored = await this.#options.jobs.options.accounts.options.records.get(jobs, recordId)
    if (stored === undefined || this.#isClosed) return
    // K5: a job that says it is somebody else's would train on their data.
    if (!isOwnJob(stored, recordId.split('/')[0] ?? ''))
      this.#options.log(`The record of the job ${recordId} was changed from outside: it is not run`)
    // One that is `running` and in nobody's hands was left so by a stop of the service.
    else if (stored.value.status === 'pending' || stored.value.status === 'running') await this.#runOne(stored)
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
      await this.#ends.write(stored, () => {
        const [why] = [abort.signal, pause.signal, hold?.signal].filter(signal => signal?.aborted)
        return why === undefined ? error : why.reason
      })
    } finally {
      hold?.release()
      this.#running.delete(jobId)
    }
  }
}

import type { AccountServices } from '../accounts/accounts.ts'
import type { PlaintextHold } from '../encryption/plaintext-holds.ts'
import { AzureError } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import { leaveOut } from '../store/records.ts'
import type { Stored } from '../store/records.ts'
import { storageTrouble } from '../store/storage-errors.ts'
import { JobEnds, Stopped, type JobEndsOptions } from './job-ends.ts'
import { JobRun, type JobRunOptions } from './job-run.ts'
import { isOwnJob, jobs, type JobRecord } from './records.ts'
import type { RunningJobs } from './running-jobs.ts'

/** A job that is paused may seal the checkpoint that its process sends at once. */
const LAST_CHECKPOINT_MS = 5000

export interface JobRunnerOptions extends JobRunOptions, JobEndsOptions, Pick<AccountServices, 'accounts'> {
  readonly running: RunningJobs
}

/** Runs waiting jobs, one at a time unless told otherwise: training takes every core there is. */
export class JobRunner {
  readonly #options: JobRunnerOptions
  readonly #ends: JobEnds
  #isClosed = false

  constructor(options: JobRunnerOptions) {
    this.#options = options
    this.#ends = new JobEnds(options)
  }

  /** Jobs that were running when the service ended go on from their last checkpoint, before those that waited. */
  async start(): Promise<void> {
    const { jobs: service, records, queue, log } = this.#options
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
      queue.add(job.id)
    }
    queue.start(recordId => this.#runWaiting(recordId))
  }

  /** Running jobs become pending again; resolves when their processes have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#options.running.stopAll('pending')
    this.#ends.close()
    await this.#options.queue.close()
  }

  async #runWaiting(recordId: string): Promise<void> {
    const stored = await this.#options.records.get(jobs, recordId)
    if (stored === undefined || this.#isClosed) return
    // K5: a job that says it is somebody else's would train on their data.
    if (!isOwnJob(stored, recordId.split('/')[0] ?? ''))
      this.#options.log(`The record of the job ${recordId} was changed from outside: it is not run`)
    // One that is `running` and in nobody's hands was left so by a stop of the service.
    else if (stored.value.status === 'pending' || stored.value.status === 'running') await this.#runOne(stored)
  }

  async #runOne(stored: Stored<JobRecord>): Promise<void> {
    const { jobs: service, accounts, keyRing, running } = this.#options
    const { jobId, accountId } = stored.value
    const [abort, pause] = [new AbortController(), new AbortController()]
    running.add(jobId, to => {
      const reason = new Stopped(to)
      if (to === 'cancelled') abort.abort(reason)
      else pause.abort(reason)
      setTimeout(() => abort.abort(reason), LAST_CHECKPOINT_MS).unref()
    })
    let hold: PlaintextHold | undefined
    try {
      const account = await accounts.byId(accountId)
      if (account === undefined) throw new AzureError('notFound', 404, 'The account of the job was deleted.')
      const begun = await service.move(stored, { status: 'running' }, 'info', 'Job started.')
      // R23: the job's process holds plaintext; it is killed when the lease is over, however long its next write is off.
      hold = await keyRing.leases.hold(accountId)
      const signal = AbortSignal.any([abort.signal, hold.signal])
      await new JobRun(this.#options, { account, stored: begun }).run(signal, pause.signal)
    } catch (error) {
      await this.#ends.write(stored, () => {
        const [why] = [abort.signal, pause.signal, hold?.signal].filter(signal => signal?.aborted)
        return why === undefined ? error : why.reason
      })
    } finally {
      hold?.release()
      running.delete(jobId)
    }
  }
}

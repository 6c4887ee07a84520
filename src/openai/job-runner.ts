import type { AccountServices } from '../accounts/accounts.ts'
import { repeatedly, type Repeating } from '../base/repeatedly.ts'
import type { PlaintextHold } from '../encryption/plaintext-holds.ts'
import { Conflict } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import { isFenced, type Lease } from '../store/leases.ts'
import { leaveOut, type Stored, type Watch } from '../store/records.ts'
import { storageTrouble } from '../store/storage-errors.ts'
import { JobEnds, type JobEndsOptions } from './job-ends.ts'
import { JobRun, type JobRunOptions } from './job-run.ts'
import { JOB_LEASE_MS, leaseOfJob } from './jobs.ts'
import { isOwnJob, jobs, type JobRecord } from './records.ts'
import { Stopped } from './running-jobs.ts'

/** How long a paused job may take to seal the checkpoint that its process sends at once. */
const LAST_CHECKPOINT_MS = 5000
const TAKEN_UP = 'The process that ran the job is gone. The job goes on from its last checkpoint.'
const RESTARTED = 'The service was restarted. The job goes on from its last checkpoint.'

export interface JobRunnerOptions
  extends JobRunOptions, JobEndsOptions, Pick<AccountServices, 'accounts' | 'records' | 'leases'> {}

/**
 * Runs waiting jobs, by default one at a time, since training takes all cores. Each job runs under a lease, so a job of another process
 * is left alone until its lease has run out.
 */
export class JobRunner {
  readonly #options: JobRunnerOptions
  readonly #ends: JobEnds
  #watch: Watch | undefined
  #looking: Repeating | undefined
  #isClosed = false

  constructor(options: JobRunnerOptions) {
    this.#options = options
    this.#ends = new JobEnds(options)
  }

  /** Jobs that were running when the service ended go on from their last checkpoint, before those that waited. */
  async start(): Promise<void> {
    const { records, queue, log } = this.#options
    for (const job of await this.#unfinished()) {
      if (job.value.status === 'running' && !(await this.#takeUp(job))) continue
      queue.add(job.id)
    }
    queue.start(recordId => this.#runWaiting(recordId))
    if (!records.properties.shared) return
    this.#watch = records.watch(written => this.#seeOthers(written))
    // Jobs that no watch reported, and jobs of a process that is gone.
    const look = async (): Promise<void> => {
      for (const { id } of await this.#unfinished()) queue.add(id)
    }
    this.#looking = repeatedly(look, JOB_LEASE_MS, error =>
      log('Jobs of other processes could not be looked at', error),
    )
  }

  /** Running jobs become pending again. Resolves when their processes have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch?.close()
    await this.#looking?.stop()
    this.#options.running.stopAll('pending')
    this.#ends.close()
    await this.#options.queue.close()
  }

  /** First those that ran, then those that wait; each by age. */
  async #unfinished(): Promise<Stored<JobRecord>[]> {
    const unfinished: Stored<JobRecord>[] = []
    for await (const stored of everyRecord(this.#options.records, jobs, { onTampered: leaveOut }))
      if (stored.value.status === 'running' || stored.value.status === 'pending') unfinished.push(stored)
    const rank = ({ value }: Stored<JobRecord>): string => `${value.status === 'running' ? 0 : 1}${value.jobId}`
    return unfinished.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))
  }

  /** Takes up a job of a process that is gone. False: another process runs it. */
  async #takeUp(job: Stored<JobRecord>): Promise<boolean> {
    // Its run ends it as it was asked to.
    if (job.value.wanted !== undefined) return true
    const { jobs: service, leases, log } = this.#options
    const lease = await leases.claim(leaseOfJob(job.id), JOB_LEASE_MS)
    if (lease === undefined) return false
    try {
      await service.move(job, { status: 'pending' }, 'warning', RESTARTED, { fence: lease.fence })
    } catch (error) {
      // A full disk must not keep the service from starting. The run reports it once it can be written.
      if (storageTrouble(error) === undefined && !(error instanceof Conflict)) throw error
      log(`The job ${job.value.jobId} can't be taken up yet`, error)
    } finally {
      await lease.release()
    }
    return true
  }

  #seeOthers(written: readonly { readonly collection: string; readonly id: string }[] | 'lost'): void {
    if (written === 'lost') return
    for (const { collection, id } of written) if (collection === jobs.name) void this.#seeOther(id)
  }

  /** A change of a job by another process: it was made or freed, or it runs here and is to stop. */
  async #seeOther(recordId: string): Promise<void> {
    const { records, running, queue } = this.#options
    const job = (await records.get(jobs, recordId).catch(() => undefined))?.value
    if (job?.status === 'pending') queue.add(recordId)
    else if (job?.wanted !== undefined) running.stop(job.jobId, job.wanted)
  }

  async #runWaiting(recordId: string): Promise<void> {
    const { records, leases, log } = this.#options
    const lease = this.#isClosed ? undefined : await leases.claim(leaseOfJob(recordId), JOB_LEASE_MS)
    if (lease === undefined) return
    try {
      const stored = await records.get(jobs, recordId)
      if (stored === undefined || this.#isClosed) return
      // K5: a job whose record names another account would train on that account's data.
      if (!isOwnJob(stored, recordId.split('/')[0] ?? ''))
        log(`The record of the job ${recordId} was changed from outside: it is not run`)
      // A job that is `running` without a process was left so by a stop of a service.
      else if (stored.value.status === 'pending' || stored.value.status === 'running') await this.#runOne(stored, lease)
    } finally {
      await lease.release()
    }
  }

  /** @throws Stopped where another process has written what is wanted of the job since it was read */
  async #begin(stored: Stored<JobRecord>): Promise<Stored<JobRecord>> {
    const { jobs: service, records } = this.#options
    const [level, message] =
      stored.value.status === 'running' ? (['warning', TAKEN_UP] as const) : (['info', 'Job started.'] as const)
    try {
      return await service.move(stored, { status: 'running' }, level, message)
    } catch (error) {
      const now = error instanceof Conflict ? await records.get(jobs, stored.id) : undefined
      throw now?.value.wanted === undefined ? error : new Stopped(now.value.wanted)
    }
  }

  async #runOne(stored: Stored<JobRecord>, lease: Lease): Promise<void> {
    const { accounts, keyRing, running, log } = this.#options
    const { jobId, accountId, wanted } = stored.value
    const [abort, pause] = [new AbortController(), new AbortController()]
    const stop = (to: Stopped['to']): void => {
      const reason = new Stopped(to)
      if (to === 'cancelled') abort.abort(reason)
      else pause.abort(reason)
      this.#ends.hurry(stored.id)
      setTimeout(() => abort.abort(reason), LAST_CHECKPOINT_MS).unref()
    }
    running.add(jobId, { stop, fence: lease.fence })
    let hold: PlaintextHold | undefined
    try {
      // Its process ended before it saw the wanted state.
      if (wanted !== undefined) throw new Stopped(wanted)
      const account = await accounts.byId(accountId)
      // A restore of the account brings the job back, so it is only paused. A purge removes it.
      if (account === undefined) throw new Stopped('paused')
      const begun = await this.#begin(stored)
      // R23: the job's process holds plaintext, so it is killed when the lease ends, however far its next write is.
      hold = await keyRing.leases.hold(accountId)
      const signal = AbortSignal.any([abort.signal, hold.signal, lease.signal])
      await new JobRun(this.#options, { account, stored: begun }).run(signal, pause.signal)
    } catch (error) {
      // The process that has it now decides about it.
      if (lease.signal.aborted || isFenced(error)) log(`Another process has taken the job ${jobId}`, error)
      else
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

import type { AccountServices } from '../accounts/accounts.ts'
import { isRetired } from '../encryption/key-ring-rows.ts'
import { KeyRingTampered } from '../encryption/key-ring-tampered.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import { BaseUnavailable, EngineLost, TrainingDataUnfit } from '../engines/failures.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import type { Stored } from '../store/records.ts'
import { storageTrouble } from '../store/storage-errors.ts'
import type { StorageTrouble } from '../store/storage-trouble.ts'
import type { JobQueue } from './job-queue.ts'
import { hasCheckpoint } from './job-checkpoints.ts'
import { finishedNow, type Jobs } from './jobs.ts'
import { jobs, type JobRecord } from './records.ts'
import { Stopped } from './running-jobs.ts'

const ATTEMPTS = 5
/** How often in a row a job is tried again whose process was lost, without a checkpoint in between. */
const MAX_TRIES = 5
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000

const OF_STOPPED = {
  paused: 'Job paused. Resume goes on from the last checkpoint.',
  cancelled: 'Job cancelled.',
  pending: 'The service is stopping. The job goes on when it starts again.',
}

const OF_DISK: Readonly<Record<StorageTrouble, string>> = {
  full: "the service's disk is full",
  'read-only': "the service's disk can't be written",
  failing: "the service's disk fails",
  'out-of-files': 'the service can currently open no more files',
}

export interface JobEndsOptions extends Pick<AccountServices, 'records' | 'env'> {
  readonly jobs: Jobs
  /** Adds a job that is to run again. */
  readonly queue: JobQueue
  readonly log: (message: string, error?: unknown) => void
}

/** Writes the new state of a job when its run is over, and lets jobs that can go on run again. */
export class JobEnds {
  readonly #options: JobEndsOptions
  readonly #jobs: Jobs
  readonly #log: JobEndsOptions['log']
  readonly #waiting = new Set<() => void>()
  /** Ends the wait of a write that the disk refused, by record id. */
  readonly #writing = new Map<string, () => void>()
  /** How often in a row the disk was the reason, by record id. */
  readonly #refused = new Map<string, number>()
  #isClosed = false

  constructor(options: JobEndsOptions) {
    this.#options = options
    this.#jobs = options.jobs
    this.#log = options.log
  }

  /** Ends all waits. What could not be written is found at the next start. */
  close(): void {
    this.#isClosed = true
    for (const go of this.#waiting) go()
  }

  /** Tries at once to write the end of the job's run that the disk has refused, since the reason is another one now. */
  hurry(recordId: string): void {
    this.#writing.get(recordId)?.()
  }

  /**
   * Resolves once it is written, however long the disk refuses writes, so that a job is never `running` without a process.
   * @param reason called each time, since a job may be cancelled meanwhile
   */
  async write(before: Stored<JobRecord>, reason: () => unknown): Promise<void> {
    for (let [conflicts, refusals] = [0, 0]; ;) {
      try {
        return await this.#writeOnce(before, reason())
      } catch (failure) {
        // A write that the run had begun when it was told to stop may come in between.
        if (failure instanceof Conflict && (conflicts += 1) < ATTEMPTS) continue
        if (storageTrouble(failure) === undefined || this.#isClosed) throw failure
        if (refusals === 0) this.#log(`The end of a run of the job ${before.value.jobId} can't be written yet`, failure)
        await this.#wait(waitAfter((refusals += 1)), before.id)
      }
    }
  }

  async #writeOnce(before: Stored<JobRecord>, error: unknown): Promise<void> {
    const stored = await this.#options.records.get(jobs, before.id)
    if (stored === undefined || !['pending', 'running'].includes(stored.value.status)) return
    const trouble = storageTrouble(error)
    const { wanted } = stored.value
    const isCancelled = error instanceof Stopped && error.to === 'cancelled'
    // Another process was asked to stop it, and the run may not have learnt that.
    if (wanted !== undefined && !isCancelled) await this.#stopped(stored, wanted)
    else if (error instanceof Stopped) await this.#stopped(stored, error.to)
    else if (isRetired(error))
      await this.#goOn(stored, 'The resource got another data key meanwhile. The job goes on from its last checkpoint.')
    else if (error instanceof KeyUnavailable && error.reason === 'LeaseEnded')
      await this.#goOn(
        stored,
        'The machine slept, or the service stood still. The job goes on from its last checkpoint.',
      )
    else if (error instanceof KeyUnavailable) await this.#withoutKey(stored, error)
    // The job can go on when a backup of the database has brought the key ring back.
    else if (error instanceof KeyRingTampered)
      await this.#jobs.move(stored, { status: 'paused' }, 'error', `Job paused: ${error.message} Then resume the job.`)
    else if (trouble !== undefined) await this.#withoutDisk(stored, trouble, error)
    else if (error instanceof BaseUnavailable) await this.#withoutBase(stored, error)
    else if (error instanceof EngineLost) await this.#withoutEngine(stored, error)
    else await this.#failed(stored, error)
  }

  async #stopped(stored: Stored<JobRecord>, to: Stopped['to']): Promise<void> {
    const finished = to === 'cancelled' ? finishedNow(stored.value, this.#options.env) : {}
    await this.#jobs.move(stored, { status: to, ...finished }, 'info', OF_STOPPED[to])
  }

  /** R23: the training up to the last checkpoint is sealed and waits for the key. */
  async #withoutKey(stored: Stored<JobRecord>, error: KeyUnavailable): Promise<void> {
    const message = `Job paused: ${error.message} Resume the job when the key is available again.`
    await this.#jobs.move(stored, { status: 'paused' }, 'error', message)
  }

  /** The disk is not the job's fault, so it is retried without limit, at growing intervals. */
  async #withoutDisk(stored: Stored<JobRecord>, trouble: StorageTrouble, error: unknown): Promise<void> {
    const times = (this.#refused.get(stored.id) ?? 0) + 1
    const waitMs = waitAfter(times)
    const message = `Job interrupted: ${OF_DISK[trouble]}. ${await this.#whence(stored)} in ${waitMs / 1000} s, and again until there is room.`
    await this.#goOn(stored, message, waitMs)
    this.#refused.set(stored.id, times)
    this.#log(`The fine-tuning job ${stored.value.jobId} was interrupted`, error)
  }

  /** The operator can put the file back, and nothing of the training is lost until then. */
  async #withoutBase(stored: Stored<JobRecord>, error: BaseUnavailable): Promise<void> {
    const message = `Job paused: ${error.message}. Resume the job when whoever runs this service has put it back.`
    await this.#jobs.move(stored, { status: 'paused' }, 'error', message)
  }

  async #withoutEngine(stored: Stored<JobRecord>, error: EngineLost): Promise<void> {
    const tries = (stored.value.tries ?? 0) + 1
    this.#log(`The fine-tuning job ${stored.value.jobId} was interrupted`, error)
    if (tries > MAX_TRIES) return this.#gaveUp(stored, error)
    const waitMs = waitAfter(tries)
    const message = `Job interrupted: ${error.message}. ${await this.#whence(stored)} in ${waitMs / 1000} s (try ${tries} of ${MAX_TRIES}).`
    await this.#goOn(stored, message, waitMs, { tries })
  }

  async #gaveUp(stored: Stored<JobRecord>, error: EngineLost): Promise<void> {
    const advice =
      error.reason === 'memory' ? ' Use a smaller batch_size or shorter examples, or give the machine more memory.' : ''
    const text = `${error.message}, after ${MAX_TRIES} tries without a checkpoint in between.${advice}`
    await this.#failed(stored, new AzureError(error.reason === 'memory' ? 'outOfMemory' : 'internalFailure', 500, text))
  }

  async #failed(stored: Stored<JobRecord>, error: unknown): Promise<void> {
    this.#log(`The fine-tuning job ${stored.value.jobId} failed`, error)
    const message = error instanceof Error ? error.message : 'The training engine failed.'
    const ofUser = error instanceof TrainingDataUnfit ? error.reason : 'internalFailure'
    const code = error instanceof AzureError ? error.code : ofUser
    const finished = finishedNow(stored.value, this.#options.env)
    const change = { status: 'failed', ...finished, error: { code, message } } as const
    await this.#jobs.move(stored, change, 'error', `Job failed: ${message}`)
  }

  async #whence(stored: Stored<JobRecord>): Promise<string> {
    const { records } = this.#options
    return (await hasCheckpoint(records, stored.value))
      ? 'It goes on from its last checkpoint'
      : 'No checkpoint was kept yet: it begins again'
  }

  async #goOn(
    stored: Stored<JobRecord>,
    message: string,
    waitMs = 0,
    change: Pick<JobRecord, 'tries'> = {},
  ): Promise<void> {
    await this.#jobs.move(stored, { status: 'pending', ...change }, 'warning', message)
    void this.#wait(waitMs).then(() => this.#options.queue.add(stored.id))
  }

  /** @param writing the record of the job whose end is to be written */
  #wait(ms: number, writing?: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const go = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(go)
      if (writing !== undefined) this.#writing.delete(writing)
      resolve()
    }
    const timer = setTimeout(go, this.#isClosed ? 0 : ms).unref()
    this.#waiting.add(go)
    if (writing !== undefined) this.#writing.set(writing, go)
    return promise
  }
}

function waitAfter(times: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** (times - 1), LONGEST_WAIT_MS)
}

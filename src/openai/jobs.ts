import type { Account } from '../accounts/account.ts'
import { accountAudit, CREATED, type AccountServices } from '../accounts/accounts.ts'
import { committerOfRequest, type Recorded } from '../audit/request-context.ts'
import { recordTampered } from '../encryption/record-tampered.ts'
import { AzureError, Conflict, NotFound } from '../http/errors.ts'
import type { Env } from '../base/env.ts'
import { conflictOf } from '../store/conflicts.ts'
import { everyRecord } from '../store/every-record.ts'
import { isFenced } from '../store/leases.ts'
import { mustExist, put, storedAs, type Change, type Stored, type Written } from '../store/records.ts'
import { StorageRefused } from '../store/storage-errors.ts'
import type { Files } from './files.ts'
import { badRequest, checkId, lastIdOf, newId, notFound } from './ids.ts'
import type { JobBody } from './job-body.ts'
import type { JobEvents } from './job-events.ts'
import type { JobQueue } from './job-queue.ts'
import type { JobOrigin } from './job-origin.ts'
import { sourceUse } from './job-source.ts'
import { checkMove, FINISHED } from './job-states.ts'
import { files, fileUses, isOwnJob, jobs, ownedKey, type FileRecord, type JobRecord } from './records.ts'
import type { RunningJobs } from './running-jobs.ts'

/** Azure and OpenAI require at least this many. */
const MIN_EXAMPLES = 10
const MAX_WAITING = 100
const CONVERSATIONS = 'conversations ("messages")'
const PREFERENCES = 'preferences ("input", "preferred_output", "non_preferred_output")'

export interface JobsOptions extends Pick<AccountServices, 'accounts' | 'records' | 'env' | 'leases'> {
  readonly files: Files
  readonly events: JobEvents
  readonly queue: JobQueue
  readonly running: RunningJobs
  /** What a job's `model` names. @throws 400, 409 (job-origin.ts) */
  readonly originOf: (accountId: string, name: string) => Promise<JobOrigin>
}

/** Milliseconds without a sign of life of its process after which another process takes a job up. */
export const JOB_LEASE_MS = 10_000

interface MoveOptions {
  readonly recorded?: Recorded
  readonly fence?: readonly Change[]
}

/** For a job that an account's deletion stops; it has a record beside that of the deletion. */
const PAUSING: Recorded = {
  operation: { operationName: 'Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/write' },
  reserve: 'last',
}
/** What stops a job also works on a full disk. */
const STOPPING: Recorded = { reserve: 'small' }

/** Fine-tuning jobs as records; the runner (job-runner.ts) makes them run. */
export class Jobs {
  readonly #options: JobsOptions
  /** How a request that stops a running job commits, by record id. */
  readonly #committers = new Map<string, ReturnType<typeof committerOfRequest>>()
  /** Why the disk did not take the last change of a job, by record id. */
  readonly #refused = new Map<string, unknown>()

  constructor(options: JobsOptions) {
    this.#options = options
  }

  /** R23: opens the training file once, so that with a revoked key the job is refused now and not later. @throws KeyUnavailable */
  async create(account: Account, body: JobBody): Promise<JobRecord> {
    const { accounts, records, env, events, originOf, queue } = this.#options
    const { base, root, source } = await originOf(account.accountId, body.model)
    const training = await this.#inputFiles(account, body)
    let waiting = 0
    for await (const { value } of this.every(account.accountId)) if (value.status === 'pending') waiting += 1
    if (waiting >= MAX_WAITING) {
      throw new AzureError(
        'quotaExceeded',
        400,
        `${MAX_WAITING} jobs are waiting already. Cancel some, or wait for them to end.`,
      )
    }
    await this.#options.files.open(account.accountId, training)
    const job: JobRecord = {
      jobId: newId(env, 'ftjob-', await lastIdOf(records, jobs, `${account.accountId}/`)),
      accountId: account.accountId,
      status: 'pending',
      model: body.model,
      base: base.name,
      baseSha256: base.sha256,
      ...(source === undefined ? {} : { source }),
      trainingFile: training.fileId,
      ...(body.validationFile === undefined ? {} : { validationFile: body.validationFile }),
      ...(body.suffix === undefined ? {} : { suffix: body.suffix }),
      seed: body.seed ?? env.randomBytes(4).readUInt32BE() >>> 1,
      ...(body.method === 'supervised' ? {} : { method: body.method }),
      hyperparameters: body.hyperparameters,
      modelName: `${root}.ft-${env.randomBytes(16).toString('hex')}${body.suffix === undefined ? '' : `-${body.suffix}`}`,
      createdAt: Math.floor(env.now() / 1000),
    }
    const action = 'Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/write'
    const entry = accountAudit(account, action, job.jobId, CREATED)
    const changes = [
      put(jobs, ownedKey(job.accountId, job.jobId), job, 0),
      await events.message(job, 'info', 'Job enqueued. Waiting for jobs ahead to complete.'),
      ...usesOf(job),
      ...sourceUse(job),
    ]
    await accounts.commitUnder(account, entry, changes).catch(async (error: unknown) => {
      // A file or the model was deleted since: this says which.
      await this.#inputFiles(account, body)
      await originOf(account.accountId, body.model)
      throw conflictOf(error, 'A file or the model of the job', 'conflict')
    })
    queue.add(ownedKey(job.accountId, job.jobId))
    return job
  }

  /** @throws 404 notFound */
  async get(accountId: string, jobId: string): Promise<Stored<JobRecord>> {
    const found = await this.#options.records.get(
      jobs,
      ownedKey(accountId, checkId(jobId, 'ftjob-', 'fine-tuning job')),
    )
    if (found === undefined) throw notFound('fine-tuning job', jobId)
    if (!isOwnJob(found, accountId)) throw recordTampered(`the fine-tuning job ${jobId}`)
    return found
  }

  /** Newest first. */
  async list(accountId: string, options: { limit: number; after?: string }): Promise<Stored<JobRecord>[]> {
    const after = options.after === undefined ? {} : { after: ownedKey(accountId, options.after) }
    const found = await this.#options.records.list(jobs, {
      prefix: `${accountId}/`,
      reverse: true,
      limit: options.limit,
      ...after,
    })
    return found.filter(stored => isOwnJob(stored, accountId))
  }

  /** All jobs of an account, oldest first. */
  async *every(accountId: string): AsyncGenerator<Stored<JobRecord>> {
    for await (const stored of everyRecord(this.#options.records, jobs, { prefix: `${accountId}/` }))
      if (isOwnJob(stored, accountId)) yield stored
  }

  /** Ends a job that has not ended yet. @throws 409 unexpectedEntityState */
  async cancel(accountId: string, jobId: string): Promise<JobRecord> {
    const stored = await this.get(accountId, jobId)
    if (FINISHED.has(stored.value.status)) throw wrongState(stored.value, 'cancelled')
    // Its run may not have written its beginning yet.
    const isOver = ({ status }: JobRecord): boolean => status !== 'running' && status !== 'pending'
    if (await this.#stop(stored, 'cancelled', STOPPING)) return this.#waitFor(accountId, jobId, isOver)
    const change = { status: 'cancelled', ...finishedNow(stored.value, this.#options.env) } as const
    return (await this.move(stored, change, 'info', 'Job cancelled.', { recorded: STOPPING })).value
  }

  async pause(accountId: string, jobId: string): Promise<JobRecord> {
    const stored = await this.get(accountId, jobId)
    if (stored.value.status !== 'running' || !(await this.#stop(stored, 'paused', STOPPING)))
      throw wrongState(stored.value, 'paused')
    return this.#waitFor(accountId, jobId, job => job.status !== 'running')
  }

  /** Pauses waiting and running jobs, because the account is deleted. After a restore they can be resumed. */
  async stopAll(accountId: string): Promise<void> {
    for await (const stored of this.every(accountId))
      await this.#pauseDeleted(stored).catch((error: unknown) => {
        // Its process has ended, and its state is written when the disk takes it: by its run, or when its turn comes.
        if (!(error instanceof StorageRefused)) throw error
      })
  }

  async #pauseDeleted(stored: Stored<JobRecord>): Promise<void> {
    const { accountId, jobId, status } = stored.value
    const message = 'Job paused: the resource was deleted.'
    if (status === 'running' && (await this.#stop(stored, 'paused', PAUSING)))
      await this.#waitFor(accountId, jobId, job => job.status !== 'running')
    else if (status === 'pending')
      await this.move(stored, { status: 'paused' }, 'warning', message, { recorded: PAUSING })
  }

  /** Goes on from the last checkpoint. */
  async resume(accountId: string, jobId: string): Promise<JobRecord> {
    const stored = await this.get(accountId, jobId)
    if (stored.value.status !== 'paused') throw wrongState(stored.value, 'resumed')
    const { value: job } = await this.move(
      stored,
      { status: 'pending' },
      'info',
      'Job resumed. Waiting for jobs ahead to complete.',
    )
    this.#options.queue.add(stored.id)
    return job
  }

  /**
   * Writes a change of a job with its event, under the lease of its run where it runs here.
   * @throws 409 conflict when someone else was faster; VersionConflict of a fence that was lost
   */
  async move(
    stored: Stored<JobRecord>,
    change: Partial<JobRecord> & Pick<JobRecord, 'status'>,
    level: 'info' | 'warning' | 'error',
    message: string,
    { recorded = {}, fence = this.#options.running.fenceOf(stored.value.jobId) }: MoveOptions = {},
  ): Promise<Stored<JobRecord>> {
    const { wanted: _, ...before } = stored.value
    checkMove(before.status, change.status)
    const job = { ...before, ...change }
    const told = await this.#options.events.message(job, level, message)
    const changes = [...fence, put(jobs, stored.id, job, stored.version), told]
    const written = await this.#commit(stored.id, changes, recorded).catch((error: unknown) => {
      throw isFenced(error) ? error : changedElsewhere(job, error)
    })
    return storedAs(written, jobs, stored.id, job)
  }

  /**
   * The run writes the new state of a running job, and the record of the request goes into the same commit. A job that another process
   * runs learns the wanted state from its record.
   */
  async #stop(stored: Stored<JobRecord>, to: 'cancelled' | 'paused', recorded: Recorded): Promise<boolean> {
    const { running, records, leases } = this.#options
    const { id, value: job, version } = stored
    this.#committers.set(id, committerOfRequest(records, recorded))
    this.#refused.delete(id)
    if (running.stop(job.jobId, to)) return true
    this.#committers.delete(id)
    if (job.status !== 'running') return false
    const lease = await leases.claim(leaseOfJob(id), JOB_LEASE_MS)
    // Its process is gone, so nobody runs it.
    if (lease !== undefined) return lease.release().then(() => false)
    await this.#commit(id, [put(jobs, id, { ...job, wanted: to }, version)], recorded).catch((error: unknown) => {
      throw changedElsewhere(job, error)
    })
    return true
  }

  async #commit(recordId: string, changes: readonly Change[], recorded: Recorded): Promise<readonly Written[]> {
    const asked = this.#committers.get(recordId)
    const commit = asked ?? committerOfRequest(this.#options.records, recorded)
    try {
      const written = await commit(changes)
      // Until then the next attempt has the record of the request in it too.
      if (this.#committers.get(recordId) === asked) this.#committers.delete(recordId)
      this.#refused.delete(recordId)
      return written
    } catch (error) {
      if (error instanceof StorageRefused) this.#refused.set(recordId, error)
      throw error
    }
  }

  /** The training file. @throws 400 where it or the validation file is not there or does not do */
  async #inputFiles(account: Account, body: JobBody): Promise<FileRecord> {
    const training = await this.#inputFile(account, body, 'training_file')
    const { examples = 0 } = training
    if (examples < MIN_EXAMPLES) {
      throw badRequest(
        `Training file has ${examples} example(s), but must have at least ${MIN_EXAMPLES} examples`,
        'training_file',
        'invalid_n_examples',
      )
    }
    if (body.validationFile !== undefined) await this.#inputFile(account, body, 'validation_file')
    return training
  }

  async #inputFile(
    account: Account,
    { method, ...body }: JobBody,
    target: 'training_file' | 'validation_file',
  ): Promise<FileRecord> {
    const fileId = (target === 'training_file' ? body.trainingFile : body.validationFile) ?? ''
    const { value: found } = await this.#options.files.get(account.accountId, fileId).catch((error: unknown) => {
      if (!(error instanceof NotFound)) throw error
      throw badRequest(
        `The ${target} '${fileId.slice(0, 64)}' was not found in this resource. Upload it first.`,
        target,
      )
    })
    if (found.purpose !== 'fine-tune')
      throw badRequest(
        `The ${target} '${fileId}' is a result file. Use a file that was uploaded with the purpose fine-tune.`,
        target,
      )
    if ((found.format === 'preference') === (method === 'dpo')) return found
    const [has, takes] = method === 'dpo' ? [CONVERSATIONS, PREFERENCES] : [PREFERENCES, CONVERSATIONS]
    throw badRequest(`The ${target} '${fileId}' has ${has}, and the method ${method} takes ${takes}.`, target)
  }

  /** @throws 507, 503 where the disk does not take the job's end, which is written as soon as it does */
  async #waitFor(accountId: string, jobId: string, done: (job: JobRecord) => boolean): Promise<JobRecord> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const { id, value } = await this.get(accountId, jobId)
      if (done(value)) return value
      if (this.#refused.has(id)) throw this.#refused.get(id)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    return (await this.get(accountId, jobId)).value
  }
}

/** Never before it was created, though the clock was set back. */
export function finishedNow({ createdAt }: JobRecord, env: Env): { finishedAt: number } {
  return { finishedAt: Math.max(createdAt, Math.floor(env.now() / 1000)) }
}

/** The lease under which a job runs. @param recordId `<account id>/<job id>` */
export function leaseOfJob(recordId: string): string {
  return `job/${recordId}`
}

function changedElsewhere({ jobId }: JobRecord, error: unknown): unknown {
  return conflictOf(error, `The fine-tuning job '${jobId}'`, 'conflict')
}

function wrongState(job: JobRecord, what: string): Conflict {
  return new Conflict(
    'unexpectedEntityState',
    `The fine-tuning job '${job.jobId}' is ${job.status}: it can't be ${what}.`,
  )
}

/** Its files must be there when it is created, and can't be deleted without its being seen. */
function usesOf({ accountId, jobId, trainingFile, validationFile = trainingFile }: JobRecord): Change[] {
  const keys = [...new Set([trainingFile, validationFile])].map(fileId => ownedKey(accountId, fileId))
  return keys.flatMap(key => [mustExist(files, key), put(fileUses, key, { jobId })])
}

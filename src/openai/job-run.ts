import { Readable } from 'node:stream'
import type { Account } from '../accounts/account.ts'
import { accountAudit, type AccountServices } from '../accounts/accounts.ts'
import { withNewBlobs } from '../encryption/blob-commits.ts'
import { blobRecord } from '../encryption/blob-records.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import type { OpenBlob, Removal, SealedBlobs } from '../encryption/sealed-blobs.ts'
import { heldRecord, openRecord, sealRecord } from '../encryption/sealed-records.ts'
import type { Trainer, TrainingCheckpoint, TrainingMetrics, TrainingSink } from '../engines/engine.ts'
import { put, remove, storedAs, VersionConflict, type Change, type Stored } from '../store/records.ts'
import { warningsOf } from './file-report.ts'
import type { Files } from './files.ts'
import { newId } from './ids.ts'
import { checkpointName, checkpointsOf, withoutState } from './job-checkpoints.ts'
import type { JobEvents } from './job-events.ts'
import { sourceBlob } from './job-source.ts'
import { finishedNow } from './jobs.ts'
import {
  CHECKPOINT_KINDS,
  checkpointKey,
  checkpoints,
  jobs,
  models,
  ownedKey,
  type CheckpointRecord,
  type JobRecord,
} from './records.ts'
import { resultsCsv } from './results-file.ts'
import { Stopped, RunningJobs } from './running-jobs.ts'

/** Azure keeps the last three versions of a model: the final one and two checkpoints before it. */
const KEPT_CHECKPOINTS = 3
/** A job with more steps than this reports only every n-th. */
const MAX_METRIC_EVENTS = 200
const ATTEMPTS = 5

/** The services that every run uses. */
export interface JobRunOptions extends Pick<AccountServices, 'records' | 'env' | 'audit' | 'keyRing'> {
  readonly blobs: SealedBlobs
  readonly files: Files
  readonly events: JobEvents
  readonly trainer: Trainer
  readonly running: RunningJobs
}

/** One run of one job: opens the data, trains, seals what comes out. */
export class JobRun {
  readonly #options: JobRunOptions
  readonly #ring: KeyRing
  readonly #account: Account
  readonly #fence: readonly Change[]
  #stored: Stored<JobRecord>
  #metrics: TrainingMetrics[] = []
  #startedAt = 0
  /** The first step that was done in this run. */
  #firstStep: number | undefined
  readonly #opened: Readable[] = []
  #isOver = false
  /** Settles when the trainer's process is gone. */
  #training: Promise<unknown> = Promise.resolve()

  constructor(options: JobRunOptions, { account, stored }: { account: Account; stored: Stored<JobRecord> }) {
    this.#options = options
    this.#ring = options.keyRing
    this.#account = account
    this.#stored = stored
    // Kept, since a call that waits for a vault may go on after the run.
    this.#fence = options.running.fenceOf(stored.value.jobId)
  }

  /** Resolves when the model is stored. @throws KeyUnavailable (R23), the signal's reason, or the engine's failure */
  async run(signal: AbortSignal, pause: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>()
    const abort = (): void => aborted.reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      // A call that waits for a silent vault is abandoned; the record's version keeps it from committing afterwards.
      await Promise.race([this.#train(signal, pause), aborted.promise])
    } finally {
      signal.removeEventListener('abort', abort)
      this.#isOver = true
      await this.#training.catch(() => undefined)
      // A run that was broken off may not have read them to the end.
      for (const stream of this.#opened.splice(0)) stream.destroy()
    }
  }

  async #train(signal: AbortSignal, pause: AbortSignal): Promise<void> {
    const job = this.#stored.value
    this.#startedAt = performance.now()
    const last = await this.#lastCheckpoint()
    if (last !== undefined)
      this.#metrics = (await openRecord(
        this.#ring,
        job.accountId,
        checkpointName(last),
        last.metrics,
      )) as TrainingMetrics[]
    const train = await this.#open(job.trainingFile)
    const valid = job.validationFile === undefined ? undefined : await this.#open(job.validationFile)
    const resumeFrom = last?.stateBlobId === undefined ? undefined : await this.#openBlob(last.stateBlobId)
    // A checkpoint has all of it already.
    const startFrom = resumeFrom === undefined ? await this.#openSource() : undefined
    const spec = {
      jobId: job.jobId,
      base: job.base,
      baseSha256: job.baseSha256,
      train,
      method: job.method,
      hyperparameters: job.hyperparameters,
      seed: job.seed,
      pause,
      ...(valid === undefined ? {} : { valid }),
      ...(startFrom === undefined ? {} : { startFrom }),
      ...(resumeFrom === undefined ? {} : { resumeFrom }),
    }
    signal.throwIfAborted()
    const training = this.#options.trainer.train(spec, this.#sink(last !== undefined), signal)
    this.#training = training
    const result = await training
    signal.throwIfAborted()
    await this.#finish(result.adapter, result.trainedTokens, result.steps)
  }

  #sink(resumes: boolean): TrainingSink {
    const { events } = this.#options
    return {
      started: async ({ hyperparameters, totalSteps, examples, files }) => {
        const tokens = files.find(({ file }) => file === 'training')?.tokens ?? 0
        const text = `Training on ${examples} examples with ${tokens.toLocaleString('en')} tokens, ${totalSteps} steps.`
        // They are the same for a job that goes on.
        const warnings = resumes ? [] : files.flatMap(warningsOf)
        await this.#move({ hyperparameters, totalSteps }, text, warnings)
      },
      metrics: async metrics => {
        this.#metrics.push(metrics)
        const every = Math.max(1, Math.ceil(metrics.totalSteps / MAX_METRIC_EVENTS))
        if (metrics.step % every !== 0 && metrics.step !== metrics.totalSteps) return
        const job = {
          ...this.#stored.value,
          step: metrics.step,
          totalSteps: metrics.totalSteps,
          estimatedFinish: this.#estimate(metrics),
        }
        // R23: sealing needs the account's key, so a job with a revoked key stops here.
        await this.#put(job, await events.metrics(job, metrics))
      },
      checkpoint: checkpoint => this.#keep(checkpoint),
    }
  }

  #estimate(metrics: TrainingMetrics): number {
    this.#firstStep ??= metrics.step
    // The clock may be set meanwhile, so the duration of steps is measured separately.
    const perStep = (performance.now() - this.#startedAt) / (metrics.step - this.#firstStep + 1)
    const left = perStep * (metrics.totalSteps - metrics.step)
    return Math.ceil((this.#options.env.now() + left) / 1000)
  }

  async #keep(checkpoint: TrainingCheckpoint): Promise<void> {
    const same = (await this.#checkpoints()).find(({ value }) => value.step === checkpoint.step)?.value
    // A pause in the step after a checkpoint: these weights are kept already, and a checkpoint that is shown stays.
    if (same?.stateBlobId !== undefined && (checkpoint.interim || same.interim !== true)) return
    const { blobs } = this.#options
    const stale = await withNewBlobs(blobs, create => this.#commitCheckpoint(checkpoint, create))
    for (const { unlink } of stale) await unlink()
  }

  /** Resolves to the removals, whose files are still to be unlinked. */
  async #commitCheckpoint(checkpoint: TrainingCheckpoint, create: SealedBlobs['create']): Promise<Removal[]> {
    const { accountId, jobId } = this.#stored.value
    const { env, blobs } = this.#options
    const adapter = await create({ accountId, kind: 'checkpoint', source: checkpoint.adapter })
    const state = await create({ accountId, kind: 'checkpoint', source: checkpoint.state })
    const name = { jobId, step: checkpoint.step }
    const record: CheckpointRecord = {
      checkpointId: newId(env, 'ftckpt-'),
      ...name,
      accountId,
      createdAt: Math.floor(env.now() / 1000),
      blobId: adapter.record.blobId,
      stateBlobId: state.record.blobId,
      ...(checkpoint.interim ? { interim: true } : {}),
      metrics: await sealRecord(this.#ring, accountId, checkpointName(name), this.#metrics),
    }
    const own = [...heldRecord(accountId, record.metrics), ...adapter.changes, ...state.changes]
    const key = checkpointKey(accountId, jobId, checkpoint.step)
    return this.#overOlder(async all => {
      // A checkpoint of the same step is written over, since removing it afterwards would remove the new one.
      const same = all.find(({ id }) => id === key)
      const older = all.filter(one => one !== same)
      const full = older.filter(({ value }) => value.interim !== true)
      const room = KEPT_CHECKPOINTS - (checkpoint.interim ? 0 : 1)
      const kept = full.slice(Math.max(0, full.length - room))
      const dropped = older.filter(one => !kept.includes(one))
      const gone = [
        ...[...dropped, ...(same === undefined ? [] : [same])].map(({ value }) => value.blobId),
        ...all.flatMap(({ value }) => value.stateBlobId ?? []),
      ]
      const removals = await Promise.all(gone.map(blobId => blobs.remove(accountId, blobId)))
      const { tries: _, ...job } = this.#stored.value
      await this.#put({ ...job, step: checkpoint.step }, [
        put(checkpoints, key, record, same?.version ?? 0),
        ...own,
        ...dropped.map(({ id }) => remove(checkpoints, id)),
        ...kept.map(({ id, value, version }) => put(checkpoints, id, withoutState(value), version)),
        ...removals.flatMap(({ changes }) => changes),
      ])
      return removals
    })
  }

  /** Commits over the current checkpoints, since a re-encryption may seal one anew between reading and writing it. */
  async #overOlder<T>(commit: (older: Stored<CheckpointRecord>[]) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await commit(await this.#checkpoints())
      } catch (error) {
        const isTheirs = error instanceof VersionConflict && error.collection === checkpoints.name
        if (!isTheirs || attempt === ATTEMPTS) throw error
      }
    }
  }

  /** The model, the result file and the job's end are one commit, so there is no model of a job that has not succeeded. */
  async #finish(adapter: Readable, trainedTokens: number, steps: number): Promise<void> {
    const { blobs } = this.#options
    const ending = withNewBlobs(blobs, create => this.#commitEnd(adapter, { trainedTokens, steps }, create))
    const stale = await ending.catch(async (error: unknown) => {
      await this.#seeWanted(error)
      throw new Stopped(this.#stored.value.wanted ?? 'pending')
    })
    for (const { unlink } of stale) await unlink()
  }

  /** Resolves to the removals, whose files are still to be unlinked. */
  async #commitEnd(
    adapter: Readable,
    { trainedTokens, steps }: { readonly trainedTokens: number; readonly steps: number },
    create: SealedBlobs['create'],
  ): Promise<Removal[]> {
    const job = this.#stored.value
    const { env, audit, blobs, files, events } = this.#options
    const { accountId, jobId } = job
    const model = await create({ accountId, kind: 'fine-tuned-model', source: adapter })
    const result = await files.createResult(accountId, 'results.csv', resultsCsv(this.#metrics, job.method), create)
    const { finishedAt } = finishedNow(job, env)
    const { wanted: _, ...rest } = job
    const done: JobRecord = {
      ...rest,
      status: 'succeeded',
      finishedAt,
      step: steps,
      trainedTokens,
      resultFile: result.record.fileId,
    }
    const record = {
      accountId,
      name: job.modelName,
      base: job.base,
      ...(job.baseSha256 === undefined ? {} : { baseSha256: job.baseSha256 }),
      jobId,
      ...(job.source === undefined ? {} : { trainedFrom: job.model }),
      blobId: model.record.blobId,
      createdAt: finishedAt,
    }
    return this.#overOlder(async older => {
      const interim = older.filter(({ value }) => value.interim === true)
      const states = older.filter(one => one.value.stateBlobId !== undefined && !interim.includes(one))
      const gone = [
        ...interim.map(({ value }) => value.blobId),
        ...[...interim, ...states].flatMap(({ value }) => value.stateBlobId ?? []),
      ]
      const removals = await Promise.all(gone.map(blobId => blobs.remove(accountId, blobId)))
      await audit.append(
        accountAudit(this.#account, 'Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/succeeded', jobId, {
          fineTunedModel: job.modelName,
          ...(job.source === undefined ? {} : { trainedFrom: job.model }),
          resultFile: result.record.fileId,
        }),
        [
          ...this.#fence,
          put(jobs, this.#stored.id, done, this.#stored.version),
          put(models, ownedKey(accountId, job.modelName), record, 0),
          ...model.changes,
          ...result.changes,
          ...states.map(({ id, value, version }) => put(checkpoints, id, withoutState(value), version)),
          ...interim.map(({ id }) => remove(checkpoints, id)),
          ...removals.flatMap(({ changes }) => changes),
          await events.message(job, 'info', `New fine-tuned model created: ${job.modelName}`),
          await events.message(job, 'info', 'Job succeeded.'),
        ],
      )
      return removals
    })
  }

  async #lastCheckpoint(): Promise<CheckpointRecord | undefined> {
    return (await this.#checkpoints()).findLast(({ value }) => value.stateBlobId !== undefined)?.value
  }

  async #checkpoints(): Promise<Stored<CheckpointRecord>[]> {
    const { accountId, jobId } = this.#stored.value
    return checkpointsOf(this.#options.records, { accountId, jobId })
  }

  async #open(fileId: string): Promise<Readable> {
    const { files } = this.#options
    const { value } = await files.get(this.#stored.value.accountId, fileId)
    return this.#reading(await files.open(this.#stored.value.accountId, value))
  }

  #reading(blob: OpenBlob): Readable {
    // The vault answered after the run was over.
    if (this.#isOver) throw new Error('The run is over.')
    const stream = Readable.from(blob.read(), { objectMode: false })
    this.#opened.push(stream)
    return stream
  }

  async #openBlob(blobId: string): Promise<Readable> {
    const { records, blobs } = this.#options
    const record = await blobRecord(records, this.#stored.value.accountId, blobId, CHECKPOINT_KINDS)
    return this.#reading(await blobs.open(record))
  }

  async #openSource(): Promise<Readable | undefined> {
    const { records, blobs } = this.#options
    const blob = await sourceBlob(records, this.#stored.value)
    return blob === undefined ? undefined : this.#reading(await blobs.open(blob))
  }

  async #move(change: Partial<JobRecord>, message: string, warnings: readonly string[] = []): Promise<void> {
    const { events } = this.#options
    const changes = [await events.message(this.#stored.value, 'info', message)]
    for (const warning of warnings) changes.push(await events.message(this.#stored.value, 'warning', warning))
    await this.#put({ ...this.#stored.value, ...change }, changes)
  }

  async #put(job: JobRecord, changes: readonly Change[]): Promise<void> {
    const { records } = this.#options
    for (;;) {
      const { id, version, value: before } = this.#stored
      const { wanted } = before
      const value = wanted === undefined ? job : { ...job, wanted }
      const written = await records
        .commit([...this.#fence, put(jobs, id, value, version), ...changes])
        .catch((error: unknown) => this.#seeWanted(error))
      if (written === undefined) continue
      this.#stored = storedAs(written, jobs, id, value)
      return
    }
  }

  /** Where another process wrote a wanted state into the job's record, the run goes on to its last checkpoint. @throws other errors */
  async #seeWanted(error: unknown): Promise<undefined> {
    const { records, running } = this.#options
    const { id, version, value } = this.#stored
    if (!(error instanceof VersionConflict) || error.collection !== jobs.name) throw error
    const now = await records.get(jobs, id)
    if (now?.value.wanted === undefined || now.version === version) throw error
    this.#stored = { id, version: now.version, value: { ...value, wanted: now.value.wanted } }
    running.stop(value.jobId, now.value.wanted)
  }
}

import type { SealedRecord } from '../encryption/sealed-records.ts'
import { isInPlace } from '../encryption/record-tampered.ts'
import type { ErrorCode } from '../http/error-codes.ts'
import { collection, type Stored } from '../store/records.ts'

/** A training file or a result file. Its name and digest are sealed with the blob. */
export interface FileRecord {
  readonly fileId: string
  readonly accountId: string
  readonly purpose: 'fine-tune' | 'fine-tune-results'
  readonly blobId: string
  /** Plaintext bytes. */
  readonly bytes: number
  /** Training examples in it; absent for result files. */
  readonly examples?: number
  /** Absent: conversations, or not a training file. */
  readonly format?: 'preference'
  /** Seconds since 1970. */
  readonly createdAt: number
}

export type JobStatus = 'pending' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled'

export interface JobHyperparameters {
  readonly nEpochs: number | 'auto'
  readonly batchSize: number | 'auto'
  readonly learningRateMultiplier: number | 'auto'
  /** Of `dpo` alone, as the next one. */
  readonly beta?: number | 'auto'
  readonly l2Multiplier?: number | 'auto'
}

/** What a job starts from: a fine-tuned model of the account, or a checkpoint of the job that made one. */
export interface JobSource {
  /** The job that made it. */
  readonly jobId: string
  /** Its model. */
  readonly model: string
  /** Of the checkpoint; absent: the model itself. */
  readonly step?: number
}

export interface JobRecord {
  readonly jobId: string
  readonly accountId: string
  readonly status: JobStatus
  /** As the client named it. `base` is the base model behind that name. */
  readonly model: string
  readonly base: string
  /** Of the base's file; absent in records from before it was kept. */
  readonly baseSha256?: string | undefined
  /** Absent: it starts from the base. */
  readonly source?: JobSource
  readonly trainingFile: string
  readonly validationFile?: string
  readonly suffix?: string
  readonly seed: number
  /** Absent: supervised. */
  readonly method?: 'dpo'
  readonly hyperparameters: JobHyperparameters
  /** The model's name when the job succeeds. */
  readonly modelName: string
  readonly createdAt: number
  readonly finishedAt?: number
  readonly estimatedFinish?: number
  readonly step?: number
  readonly totalSteps?: number
  readonly trainedTokens?: number
  readonly resultFile?: string
  /** A request to the other process that runs it. The next state removes it. */
  readonly wanted?: 'paused' | 'cancelled'
  /** How often in a row its process was lost since the last checkpoint. */
  readonly tries?: number
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

/** The message of a metrics event is kept only sealed, since losses are training results. */
export interface JobEvent {
  readonly id: string
  readonly jobId: string
  readonly createdAt: number
  readonly level: 'info' | 'warning' | 'error'
  readonly type: 'message' | 'metrics'
  readonly message?: string
  readonly sealed?: SealedRecord
}

export interface CheckpointRecord {
  readonly checkpointId: string
  readonly jobId: string
  readonly accountId: string
  readonly step: number
  readonly createdAt: number
  /** The adapter at this step. */
  readonly blobId: string
  /** The state from which a resumed job goes on. Only the newest checkpoint keeps one. */
  readonly stateBlobId?: string
  /** It is within an epoch, so it is only for resuming. It is not shown, and the next checkpoint replaces it. */
  readonly interim?: true
  readonly metrics: SealedRecord
}

export interface ModelRecord {
  readonly accountId: string
  readonly name: string
  readonly base: string
  /** Of the base's file; absent in records from before it was kept. */
  readonly baseSha256?: string | undefined
  /** The model or checkpoint that its training started from; absent: the base. */
  readonly trainedFrom?: string
  readonly jobId: string
  readonly blobId: string
  readonly createdAt: number
}

/** All by `<account id>/<id>`, so a list of one account can't reach another's (R27). */
export const files = collection<FileRecord>('openai.files')
export const jobs = collection<JobRecord>('openai.jobs')
export const models = collection<ModelRecord>('openai.models')
/** The job that a file was last given to, by the file's key: written with the job, so a deletion sees that one was created meanwhile. */
export const fileUses = collection<{ readonly jobId: string }>('openai.file-uses')
/** The job that last started from a model or a checkpoint, by `<account id>/<id of the job that made it>`, for the same reason. */
export const modelUses = collection<{ readonly jobId: string }>('openai.model-uses')
/** By `<account id>/<job id>/<event id>`. */
export const jobEvents = collection<JobEvent>('openai.job-events')
/** By `<account id>/<job id>/<step, 8 digits>`. */
export const checkpoints = collection<CheckpointRecord>('openai.checkpoints')

/** The collections with everything of an account, by ids that begin with the account's. A purge removes it. */
export const ownedByAccount = [files, fileUses, jobs, models, modelUses, jobEvents, checkpoints] as const

export function ownedKey(accountId: string, ...rest: string[]): string {
  return [accountId, ...rest].join('/')
}

/** The allowed kinds of each record's blob. */
export const KIND_OF_PURPOSE = { 'fine-tune': ['training-data'], 'fine-tune-results': ['training-result'] } as const
export const MODEL_KINDS = ['fine-tuned-model'] as const
export const CHECKPOINT_KINDS = ['checkpoint'] as const

/** K5: whether a record has the id that fits its value. */
export const isOwnFile = (stored: Stored<FileRecord>, accountId: string): boolean =>
  isInPlace(stored, accountId, value => ownedKey(value.accountId, value.fileId))
export const isOwnJob = (stored: Stored<JobRecord>, accountId: string): boolean =>
  isInPlace(stored, accountId, value => ownedKey(value.accountId, value.jobId))
export const isOwnModel = (stored: Stored<ModelRecord>, accountId: string): boolean =>
  isInPlace(stored, accountId, value => ownedKey(value.accountId, value.name))
export const isOwnCheckpoint = (stored: Stored<CheckpointRecord>, accountId: string): boolean =>
  isInPlace(stored, accountId, value => checkpointKey(value.accountId, value.jobId, value.step))

export function checkpointKey(accountId: string, jobId: string, step: number): string {
  return ownedKey(accountId, jobId, String(step).padStart(8, '0'))
}

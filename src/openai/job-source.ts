import { blobRecord, type BlobRecord } from '../encryption/blob-records.ts'
import { recordTampered } from '../encryption/record-tampered.ts'
import { NotFound } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import { mustExist, put, type Change, type RecordStore } from '../store/records.ts'
import { FINISHED } from './job-states.ts'
import {
  CHECKPOINT_KINDS,
  checkpointKey,
  checkpoints,
  isOwnCheckpoint,
  isOwnModel,
  jobs,
  MODEL_KINDS,
  models,
  modelUses,
  ownedKey,
  type JobRecord,
  type JobSource,
} from './records.ts'

/** The source must be there when the job is created, and can't be deleted without its being seen. */
export function sourceUse({ accountId, jobId, source }: JobRecord): Change[] {
  if (source === undefined) return []
  const isThere =
    source.step === undefined
      ? mustExist(models, ownedKey(accountId, source.model))
      : mustExist(checkpoints, checkpointKey(accountId, source.jobId, source.step))
  return [isThere, put(modelUses, ownedKey(accountId, source.jobId), { jobId })]
}

/** An unfinished job that starts, or goes on, from what another job made. */
export async function starterFrom(
  records: RecordStore,
  accountId: string,
  sourceJob: string,
): Promise<JobRecord | undefined> {
  for await (const { value } of everyRecord(records, jobs, { prefix: `${accountId}/` }))
    if (!FINISHED.has(value.status) && value.source?.jobId === sourceJob) return value
  return undefined
}

/** The sealed adapter that a job starts from; undefined: the base alone. @throws NotFound where it is gone, for example after a restore */
export async function sourceBlob(
  records: RecordStore,
  { accountId, source, model }: JobRecord,
): Promise<BlobRecord | undefined> {
  if (source === undefined) return undefined
  const blobId = await blobOf(records, accountId, source)
  if (blobId === undefined)
    throw new NotFound('notFound', `The model '${model}', from which the job starts, is not there any more.`)
  return blobRecord(records, accountId, blobId, source.step === undefined ? MODEL_KINDS : CHECKPOINT_KINDS)
}

/** K5: only where the record stands in its place. */
async function blobOf(records: RecordStore, accountId: string, source: JobSource): Promise<string | undefined> {
  if (source.step === undefined) {
    const found = await records.get(models, ownedKey(accountId, source.model))
    if (found !== undefined && !isOwnModel(found, accountId)) throw recordTampered(`the model ${source.model}`)
    return found?.value.blobId
  }
  const found = await records.get(checkpoints, checkpointKey(accountId, source.jobId, source.step))
  if (found !== undefined && !isOwnCheckpoint(found, accountId))
    throw recordTampered(`the checkpoint ${source.step} of ${source.jobId}`)
  return found?.value.blobId
}

import type { BlobReference } from '../accounts/contradictions.ts'
import { everyRecord } from '../store/every-record.ts'
import type { Collection, RecordStore, Stored } from '../store/records.ts'
import {
  CHECKPOINT_KINDS,
  checkpoints,
  files,
  isOwnCheckpoint,
  isOwnFile,
  isOwnJob,
  isOwnModel,
  jobs,
  KIND_OF_PURPOSE,
  MODEL_KINDS,
  models,
} from './records.ts'

/** Every record of an account's data plane that names a blob, and jobs, which don't: whether it is the account's own. */
export async function* blobReferences(records: RecordStore, accountId: string): AsyncGenerator<BlobReference> {
  for await (const stored of all(records, files, accountId)) {
    const { fileId, blobId, bytes, purpose } = stored.value
    const isOwn = isOwnFile(stored, accountId)
    yield { what: `the file ${fileId}`, isOwn, blobId, kinds: KIND_OF_PURPOSE[purpose], size: bytes }
  }
  for await (const stored of all(records, models, accountId)) {
    const { name, blobId } = stored.value
    yield { what: `the model ${name}`, isOwn: isOwnModel(stored, accountId), blobId, kinds: MODEL_KINDS }
  }
  for await (const stored of all(records, checkpoints, accountId)) {
    const { checkpointId, blobId, stateBlobId } = stored.value
    const isOwn = isOwnCheckpoint(stored, accountId)
    for (const id of [blobId, stateBlobId])
      if (id !== undefined) yield { what: `the checkpoint ${checkpointId}`, isOwn, blobId: id, kinds: CHECKPOINT_KINDS }
  }
  for await (const stored of all(records, jobs, accountId))
    yield { what: `the fine-tuning job ${stored.value.jobId}`, isOwn: isOwnJob(stored, accountId) }
}

function all<T>(records: RecordStore, from: Collection<T>, accountId: string): AsyncGenerator<Stored<T>> {
  return everyRecord(records, from, { prefix: `${accountId}/` })
}

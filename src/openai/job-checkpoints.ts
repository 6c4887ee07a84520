import { everyRecord } from '../store/every-record.ts'
import type { RecordStore, Stored } from '../store/records.ts'
import { checkpoints, isOwnCheckpoint, ownedKey, type CheckpointRecord, type JobRecord } from './records.ts'

/** All checkpoints of a job, oldest first. */
export async function checkpointsOf(
  records: RecordStore,
  { accountId, jobId }: Pick<JobRecord, 'accountId' | 'jobId'>,
): Promise<Stored<CheckpointRecord>[]> {
  const prefix = `${ownedKey(accountId, jobId)}/`
  const found = await Array.fromAsync(everyRecord(records, checkpoints, { prefix }))
  return found.filter(stored => isOwnCheckpoint(stored, accountId))
}

/** Whether a job has a checkpoint to go on from. */
export async function hasCheckpoint(records: RecordStore, job: JobRecord): Promise<boolean> {
  return (await checkpointsOf(records, job)).some(({ value }) => value.stateBlobId !== undefined)
}

export function checkpointName(checkpoint: { jobId: string; step: number }): string {
  return `checkpoint ${checkpoint.jobId}/${checkpoint.step}`
}

export function withoutState(checkpoint: CheckpointRecord): CheckpointRecord {
  const { stateBlobId: _, ...rest } = checkpoint
  return rest
}

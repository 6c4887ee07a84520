import type { KeyRing } from '../encryption/key-ring.ts'
import { heldRecord, openRecord, sealRecord, type SealedRecord } from '../encryption/sealed-records.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { everyRecord } from '../store/every-record.ts'
import { put, type Change, type Collection, type RecordStore, type Stored } from '../store/records.ts'
import { checkpointName } from './job-checkpoints.ts'
import { eventName } from './job-events.ts'
import { checkpoints, jobEvents, type CheckpointRecord, type JobEvent } from './records.ts'

/** Seals the losses of an account's jobs anew under its current data key. Resolves to their number. @throws KeyUnavailable */
export async function resealRecords(records: RecordStore, ring: KeyRing, accountId: string): Promise<number> {
  const again = async (name: string, sealed: SealedRecord): Promise<SealedRecord> =>
    sealRecord(ring, accountId, name, await openRecord(ring, accountId, name, sealed))
  const { current } = await ring.leases.keys(accountId)
  const isOld = (sealed: SealedRecord | undefined): sealed is SealedRecord =>
    sealed !== undefined && sealed.generation < current
  const ofEvents = await each(records, jobEvents, accountId, async ({ id, version, value }: Stored<JobEvent>) => {
    if (!isOld(value.sealed)) return []
    const sealed = await again(eventName(value), value.sealed)
    return [put(jobEvents, id, { ...value, sealed }, version), ...heldRecord(accountId, sealed)]
  })
  const ofCheckpoints = await each(
    records,
    checkpoints,
    accountId,
    async ({ id, version, value }: Stored<CheckpointRecord>) => {
      if (!isOld(value.metrics)) return []
      const metrics = await again(checkpointName(value), value.metrics)
      return [put(checkpoints, id, { ...value, metrics }, version), ...heldRecord(accountId, metrics)]
    },
  )
  return ofEvents + ofCheckpoints
}

async function each<T>(
  records: RecordStore,
  from: Collection<T>,
  accountId: string,
  change: (stored: Stored<T>) => Promise<Change[]>,
): Promise<number> {
  let count = 0
  for await (const stored of everyRecord(records, from, { prefix: `${accountId}/` })) {
    const changes = await change(stored)
    if (changes.length === 0) continue
    count += 1
    // It was removed or written anew meanwhile, so the next round looks again.
    await records.commit(changes).catch(unlessConflict)
  }
  return count
}

import { everyRecord } from '../store/every-record.ts'
import { leaveOut, remove, type Change, type RecordStore } from '../store/records.ts'
import { blobRecords, fileOf, type BlobRecord } from './blob-records.ts'
import { keyRows } from './key-ring-rows.ts'

/** Files of all blobs that a record names. Others are orphans, of uploads that were never acknowledged or from before a re-encryption. */
export interface ReferencedBlobs {
  readonly kept: ReadonlyMap<string, Pick<BlobRecord, 'storedSize' | 'header'>>
  /** Blobs of accounts whose data keys are destroyed. A purge was broken off among them, so each file may be there or not. */
  readonly going: ReadonlySet<string>
}

/** Undefined where a record was changed outside, so that the file that it names or the existing keys are not known. */
export async function referencedBlobs(records: RecordStore): Promise<ReferencedBlobs | undefined> {
  const kept = new Map<string, Pick<BlobRecord, 'storedSize' | 'header'>>()
  const [going, withKeys] = [new Set<string>(), new Set<string>()]
  let isWhole = true
  const onTampered = (): void => {
    isWhole = false
  }
  for await (const { value } of everyRecord(records, keyRows, { onTampered })) withKeys.add(value.accountId)
  for await (const { value } of everyRecord(records, blobRecords, { onTampered }))
    if (withKeys.has(value.accountId)) kept.set(fileOf(value), { storedSize: value.storedSize, header: value.header })
    else going.add(fileOf(value))
  return isWhole ? { kept, going } : undefined
}

/** Drops pending rows of a key change that a crash broke off, since the active rows are still valid (R18). */
export async function dropBrokenOffChanges(records: RecordStore): Promise<number> {
  const stale: Change[] = []
  for await (const { id, value } of everyRecord(records, keyRows, { onTampered: leaveOut }))
    if (value.status === 'pending') stale.push(remove(keyRows, id))
  if (stale.length > 0) await records.commit(stale)
  return stale.length
}

import { everyRecord } from '../store/every-record.ts'
import { leaveOut, remove, type Change, type RecordStore } from '../store/records.ts'
import { blobRecords, fileOf } from './blob-records.ts'
import { keyRows } from './key-ring-rows.ts'

/**
 * Files of all blobs that a record names: the rest are orphans of uploads that were never acknowledged, or of before a re-encryption.
 * Undefined where a record was changed outside: which file it names is not known.
 */
export async function referencedBlobs(records: RecordStore): Promise<Set<string> | undefined> {
  const referenced = new Set<string>()
  let isWhole = true
  const onTampered = (): void => {
    isWhole = false
  }
  for await (const { value } of everyRecord(records, blobRecords, { onTampered })) referenced.add(fileOf(value))
  return isWhole ? referenced : undefined
}

/** Pending rows of a key change that a crash broke off: the active rows still hold, so they are dropped (R18). */
export async function dropBrokenOffChanges(records: RecordStore): Promise<number> {
  const stale: Change[] = []
  for await (const { id, value } of everyRecord(records, keyRows, { onTampered: leaveOut }))
    if (value.status === 'pending') stale.push(remove(keyRows, id))
  if (stale.length > 0) await records.commit(stale)
  return stale.length
}

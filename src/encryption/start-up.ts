import { setImmediate } from 'node:timers/promises'
import { leaveOut, remove, type Change, type RecordStore } from '../store/records.ts'
import { blobRecords, fileOf } from './blob-records.ts'
import { keyRows } from './key-ring-rows.ts'

const PAGE = 1000

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
  let after: string | undefined
  for (;;) {
    const page = await records.list(blobRecords, { limit: PAGE, onTampered, ...(after === undefined ? {} : { after }) })
    for (const { value } of page) referenced.add(fileOf(value))
    if (page.length < PAGE) return isWhole ? referenced : undefined
    after = page.at(-1)?.id
    // Reading never waits for anything, and `prove` asks while others are served.
    await setImmediate()
  }
}

/** Pending rows of a key change that a crash broke off: the active rows still hold, so they are dropped (R18). */
export async function dropBrokenOffChanges(records: RecordStore): Promise<number> {
  const stale: Change[] = []
  let after: string | undefined
  for (;;) {
    const page = await records.list(keyRows, {
      limit: PAGE,
      onTampered: leaveOut,
      ...(after === undefined ? {} : { after }),
    })
    for (const { id, value } of page) if (value.status === 'pending') stale.push(remove(keyRows, id))
    if (page.length < PAGE) break
    after = page.at(-1)?.id
  }
  if (stale.length > 0) await records.commit(stale)
  return stale.length
}

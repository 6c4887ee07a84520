import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { blobRecords, everyBlob, fileOf, type BlobRecord } from '../encryption/blob-records.ts'
import type { Progress } from '../progress.ts'
import { hasCode } from '../store/atomic-file.ts'
import { blobFile, copyWhole, linkFile, syncBlobFolders } from '../store/blob-files.ts'
import type { RecordStore } from '../store/records.ts'

export interface CopiedBlobs {
  /** File names of all that the records name. */
  readonly named: ReadonlySet<string>
  /** Sealed bytes of all of them. */
  readonly bytes: number
  /** Those that were not there yet: by a second name, or by a copy. */
  readonly linked: number
  readonly copied: number
  /** What could not be brought over, one sentence each. */
  readonly problems: readonly string[]
}

interface How {
  readonly from: string
  readonly to: string
  /** Links where the file system can: both names are of the same bytes. */
  readonly link: boolean
  readonly progress: Progress
}

const AT_ONCE = 8

/** Brings every blob that the records name from one folder to another, where it is not there yet; durable when it resolves. */
export async function copyBlobs(records: RecordStore, how: How): Promise<CopiedBlobs> {
  const totals = { bytes: 0, linked: 0, copied: 0 }
  const [named, problems] = [new Set<string>(), [] as string[]]
  const total = await records.count(blobRecords)
  const note = async (record: BlobRecord): Promise<void> => {
    const done = await bring(record, how)
    if (done === 'linked' || done === 'copied') totals[done] += 1
    else if (done !== 'there') problems.push(done)
    how.progress.show(named.size, total, `${named.size.toLocaleString('en')} of ${total.toLocaleString('en')} blobs`)
  }
  let some: Promise<void>[] = []
  for await (const { value } of everyBlob(records)) {
    named.add(fileOf(value))
    totals.bytes += value.storedSize
    some.push(note(value))
    if (some.length < AT_ONCE) continue
    await Promise.all(some)
    some = []
  }
  await Promise.all(some)
  await syncBlobFolders(how.to)
  return { named, ...totals, problems }
}

async function bring(record: BlobRecord, { from, to, link }: How): Promise<string> {
  const id = fileOf(record)
  const [source, target] = [blobFile(from, id), blobFile(to, id)]
  if ((await sizeOf(target)) === record.storedSize) return 'there'
  const size = await sizeOf(source)
  if (size === undefined) return `the blob ${id} is missing`
  if (size !== record.storedSize) return `the blob ${id} has ${size} bytes, its record says ${record.storedSize}`
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  if (link && (await linkFile(source, target))) return 'linked'
  await copyWhole(source, target)
  return (await sizeOf(target)) === record.storedSize ? 'copied' : `the copy of the blob ${id} has another size`
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { blobRecords, everyBlob, fileOf, type BlobRecord } from '../encryption/blob-records.ts'
import { referencedBlobs } from '../encryption/start-up.ts'
import type { Progress } from '../base/progress.ts'
import { blobFile, copyWhole, linkFile, syncBlobFolders } from '../store/blob-files.ts'
import type { RecordStore } from '../store/records.ts'
import { lookAtFile, unreadable, type SealedFile } from './sealed-file.ts'

export interface CopiedBlobs {
  /** File names of all blobs that the records name. */
  readonly named: ReadonlySet<string>
  /** Their sealed bytes. */
  readonly bytes: number
  /** Blobs that were added, by a link or by a copy. */
  readonly linked: number
  readonly copied: number
  /** Blobs that could not be brought over, one sentence each. */
  readonly problems: readonly string[]
}

interface How {
  readonly from: string
  readonly to: string
  /** Hard links where the file system can, so both names have the same bytes. */
  readonly link: boolean
  readonly progress: Progress
}

const AT_ONCE = 8

/** Brings every blob that the records name from one folder to another, where it is missing. Durable when it resolves. */
export async function copyBlobs(records: RecordStore, how: How): Promise<CopiedBlobs> {
  const totals = { bytes: 0, linked: 0, copied: 0 }
  const [named, problems] = [new Set<string>(), [] as string[]]
  const total = await records.count(blobRecords)
  // A purge under way destroyed their keys, and will go on in the target, so each may be there or not.
  const going = (await referencedBlobs(records))?.going
  const note = async (record: BlobRecord): Promise<void> => {
    const done = await bring(record, how)
    if (done === 'linked' || done === 'copied') totals[done] += 1
    else if (done === 'missing' && going?.has(fileOf(record)) !== true)
      problems.push(`the blob ${fileOf(record)} is missing`)
    else if (done !== 'missing' && done !== 'there') problems.push(done)
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
  const present = await lookAtFile(target)
  if (present !== undefined && faultOf(present, record) === undefined) return 'there'
  const found = await lookAtFile(source).catch(unreadable)
  if (found === undefined) return 'missing'
  const fault = typeof found === 'string' ? found : faultOf(found, record)
  if (fault !== undefined) return `the blob ${id} ${fault}`
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  // Cut off, or another file of the same name: no state can use it.
  if (present !== undefined) await rm(target)
  if (link && (await linkFile(source, target))) return 'linked'
  try {
    await copyWhole(source, target)
  } catch (error) {
    // If the source is not the cause, no other blob could be brought over either.
    const reason = await readToEnd(source)
    if (reason === undefined) throw error
    return `the blob ${id} ${reason}`
  }
  const copy = await lookAtFile(target)
  return copy !== undefined && faultOf(copy, record) === undefined
    ? 'copied'
    : `the copy of the blob ${id} is not whole`
}

function faultOf({ size, header }: SealedFile, record: BlobRecord): string | undefined {
  if (size !== record.storedSize) return `has ${size} bytes, its record says ${record.storedSize}`
  return header === record.header ? undefined : 'is not the one of its record: its header is another'
}

/** Why a file can't be read whole; undefined where it can. */
async function readToEnd(path: string): Promise<string | undefined> {
  try {
    for await (const _ of createReadStream(path));
    return undefined
  } catch (error) {
    return unreadable(error)
  }
}

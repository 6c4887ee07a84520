import { accounts } from '../accounts/account.ts'
import { layoutOf } from '../crypto/blob-chunks.ts'
import { SealError } from '../crypto/seal-error.ts'
import { blobKeyOf, blobRecords, everyBlob, fileOf, type BlobRecord } from '../encryption/blob-records.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { AzureError } from '../http/errors.ts'
import { blobFile } from '../store/blob-files.ts'
import { leaveOut, type RecordStore, type Stored } from '../store/records.ts'
import { lookAtFile, unreadable } from './sealed-file.ts'

export interface BlobCheckOptions {
  readonly records: RecordStore
  readonly blobs: SealedBlobs
  /** Where the files of blobs lie. */
  readonly folder: string
  /** Why customers' keys can't be asked for; absent: the vaults are asked. */
  readonly closedBecause?: string
}

/** An account with blobs whose contents were not read. */
export interface ClosedAccount {
  readonly account: string
  readonly blobs: number
  readonly reason: string
}

/** Some of the blobs, in the order of their records. */
export interface BlobsPage {
  readonly blobs: number
  /** Sealed bytes of their files. */
  readonly bytes: number
  /** Blobs whose every chunk was opened. */
  readonly opened: number
  readonly closed: readonly ClosedAccount[]
  readonly problems: readonly string[]
  /** Where the next page begins; absent on the last page. */
  readonly next?: string
}

/** A page ends with the first of these. */
const MOST_BLOBS = 500
const MOST_BYTES = 128 * 1024 * 1024
const MOST_MS = 2000

interface Page {
  blobs: number
  bytes: number
  opened: number
  read: number
  readonly began: number
  readonly problems: string[]
  /** By account id. */
  readonly closed: Map<string, { account: string; blobs: number; reason: string }>
}

/** Compares each blob's record with its file: name, size, header. With `whole` it also opens every chunk, where there is a key. */
export async function checkBlobs(options: BlobCheckOptions, whole: boolean, after?: string): Promise<BlobsPage> {
  const page: Page = {
    blobs: 0,
    bytes: 0,
    opened: 0,
    read: 0,
    began: performance.now(),
    problems: [],
    closed: new Map(),
  }
  // The check of the records names those that were changed.
  const from = { onTampered: leaveOut, ...(after === undefined ? {} : { after }) }
  let next: string | undefined
  for await (const stored of everyBlob(options.records, from)) {
    if (next !== undefined) return { ...shown(page), next }
    await checkOne(options, stored, whole, page).catch((error: unknown) => {
      page.problems.push(
        `blob ${stored.value.blobId}: ${error instanceof AzureError ? error.message : unreadable(error)}`,
      )
    })
    const isFull = page.blobs >= MOST_BLOBS || page.read >= MOST_BYTES || performance.now() - page.began >= MOST_MS
    if (isFull) next = stored.id
  }
  return shown(page)
}

function shown({ blobs, bytes, opened, problems, closed }: Page): BlobsPage {
  return { blobs, bytes, opened, problems, closed: [...closed.values()] }
}

async function checkOne(options: BlobCheckOptions, stored: Stored<BlobRecord>, whole: boolean, page: Page) {
  if (await isGoing(options, stored.value)) return
  const fault = await faultOf(options, stored)
  // A re-encryption or its owner may have replaced or removed it since.
  const again = fault === undefined ? stored : await options.records.get(blobRecords, stored.id)
  if (again === undefined) return
  const present = again.version === stored.version ? fault : await faultOf(options, again)
  page.blobs += 1
  page.bytes += again.value.storedSize
  if (present !== undefined && (await isGoing(options, again.value))) return
  if (present !== undefined)
    page.problems.push(`blob ${again.value.blobId} of ${await nameOf(options, again)}: ${present}`)
  else if (whole) await readWhole(options, again, page)
}

/** Its account is being purged, or a purge was broken off and goes on at the next start. Keys are gone, and files may be gone. */
async function isGoing({ records }: BlobCheckOptions, { accountId }: BlobRecord): Promise<boolean> {
  return (await records.get(accounts, accountId))?.value.purging === true
}

/** Needs no key. */
async function faultOf({ records, folder }: BlobCheckOptions, { id, value }: Stored<BlobRecord>) {
  const { accountId, blobId, storedSize, size, header } = value
  if (id !== blobKeyOf(accountId, blobId)) return 'its record names another owner or id than its own'
  if ((await records.get(accounts, accountId)) === undefined) return 'its account is not there'
  const file = await lookAtFile(blobFile(folder, fileOf(value))).catch(unreadable)
  if (file === undefined) return `its file ${fileOf(value)} is missing`
  if (typeof file === 'string') return `its file ${file}`
  if (file.size !== storedSize) return `its file has ${file.size} bytes, its record says ${storedSize}`
  try {
    if (layoutOf(file.size).size !== size) return 'its file does not have the size that its plaintext makes'
  } catch (error) {
    if (error instanceof SealError) return error.message
    throw error
  }
  return file.header === header ? undefined : 'the header of its file is not the recorded one'
}

async function readWhole(options: BlobCheckOptions, stored: Stored<BlobRecord>, page: Page): Promise<void> {
  const { accountId, blobId, kind } = stored.value
  const account = await nameOf(options, stored)
  const known = kind === 'deployment' ? undefined : page.closed.get(accountId)
  // One question to the vault is enough for all blobs. If it does not answer, each blob would wait as long again.
  if (known !== undefined) {
    known.blobs += 1
    return
  }
  try {
    const opened = await options.blobs.open(stored.value)
    for await (const chunk of opened.read()) page.read += chunk.length
    page.opened += 1
  } catch (error) {
    if (error instanceof KeyUnavailable)
      page.closed.set(accountId, { account, blobs: 1, reason: options.closedBecause ?? error.message })
    else if (!(error instanceof AzureError)) throw error
    else if ((await options.records.get(blobRecords, stored.id))?.version !== stored.version) return
    else if (!(await isGoing(options, stored.value)))
      page.problems.push(`blob ${blobId} of ${account}: ${error.message}`)
  }
}

async function nameOf({ records }: BlobCheckOptions, { value }: Stored<BlobRecord>): Promise<string> {
  return (await records.get(accounts, value.accountId))?.value.name ?? value.accountId
}

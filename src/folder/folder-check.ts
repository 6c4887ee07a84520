import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { accounts } from '../accounts/account.ts'
import { contradictions, type BlobReference } from '../accounts/contradictions.ts'
import { blobRecords, everyBlob, fileOf } from '../encryption/blob-records.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { AzureError } from '../http/errors.ts'
import { hasCode } from '../store/atomic-file.ts'
import { blobFile, blobFiles, QUARANTINE } from '../store/blob-files.ts'
import { leaveOut } from '../store/records.ts'
import { checkBlobs, type BlobCheckOptions, type BlobsPage } from './blob-check.ts'

export interface FolderCheckOptions extends Omit<BlobCheckOptions, 'folder'> {
  readonly dataDir: string
  readonly ring: KeyRing
  /** Whether nothing changes during the check. */
  readonly isStopped?: true
  readonly references: (accountId: string) => AsyncIterable<BlobReference>
}

/** A page of accounts: compares key ring, settings and everything that names blobs. */
export interface AccountsPage {
  readonly accounts: number
  readonly problems: readonly string[]
  readonly next?: string
}

/** Files in the folder that no record names. */
export interface FilesFound {
  /** The number of records of blobs, for the progress. */
  readonly records: number
  /** False: a record was changed, so the file that it names is not known. */
  readonly areOrphansKnown: boolean
  /** The first 1,000 orphans: sealed files that no record names, of uploads that were never acknowledged. */
  readonly orphans: readonly string[]
  readonly orphanCount: number
  readonly orphanBytes: number
  /** Files in quarantine, which are older orphans. */
  readonly quarantined: number
  /** Files that are not sealed files. */
  readonly strays: readonly string[]
}

const PAGE = 50
/** The most names in an answer. */
const MOST_NAMED = 1000
/** A file younger than this may belong to an upload whose record is still to come. Milliseconds. */
const FRESH_MS = 60_000

/** Checks everything in a data folder against everything else, by pages. The cloud may run or not. */
export class FolderCheck {
  readonly #options: FolderCheckOptions

  constructor(options: FolderCheckOptions) {
    this.#options = options
  }

  async accounts(after?: string): Promise<AccountsPage> {
    const { records, ring, references } = this.#options
    const from = after === undefined ? {} : { after }
    const page = await records.list(accounts, { limit: PAGE, ...from, onTampered: leaveOut })
    const problems: string[] = []
    for (const { id, value } of page) {
      // Its keys are being destroyed.
      if (value.purging) continue
      const found = await contradictions({ ring, references }, id).catch((error: unknown) => {
        if (error instanceof AzureError) return [error.message]
        throw error
      })
      if (found.length === 0) continue
      // Its purge may have begun or ended since the page was read.
      const now = await records.get(accounts, id)
      if (now === undefined || now.value.purging) continue
      problems.push(...found.map(problem => `account ${value.name}: ${problem}`))
    }
    const last = page.at(-1)
    return { accounts: page.length, problems, ...(page.length === PAGE && last !== undefined ? { next: last.id } : {}) }
  }

  blobs(whole: boolean, after?: string): Promise<BlobsPage> {
    return checkBlobs({ ...this.#options, folder: this.#blobsFolder }, whole, after)
  }

  async files(): Promise<FilesFound> {
    const { records } = this.#options
    const folder = this.#blobsFolder
    // Before the records, so that files stored in between have their records.
    const { ids, strays } = await blobFiles(folder)
    const named = new Set<string>()
    let areNamed = true
    const onTampered = (): void => {
      areNamed = false
    }
    for await (const { value } of everyBlob(records, { onTampered })) named.add(fileOf(value))
    const unnamed = areNamed ? ids.filter(id => !named.has(id)) : []
    return {
      records: await records.count(blobRecords),
      areOrphansKnown: areNamed,
      ...(await this.#orphans(folder, unnamed)),
      quarantined: await filesIn(join(folder, QUARANTINE)),
      strays: strays.slice(0, MOST_NAMED),
    }
  }

  async #orphans(folder: string, unnamed: readonly string[]) {
    const orphans: string[] = []
    const fresh = this.#options.isStopped ? Infinity : Date.now() - FRESH_MS
    let orphanBytes = 0
    for (const id of unnamed) {
      const found = await statOf(blobFile(folder, id))
      if (found === undefined || found.ctimeMs > fresh) continue
      orphanBytes += found.size
      orphans.push(id)
    }
    return { orphans: orphans.slice(0, MOST_NAMED), orphanCount: orphans.length, orphanBytes }
  }

  get #blobsFolder(): string {
    return join(this.#options.dataDir, 'blobs')
  }
}

async function statOf(path: string) {
  return stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
}

async function filesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  return entries.filter(entry => entry.isFile()).length
}

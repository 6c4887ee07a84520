import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Account } from '../accounts/account.ts'
import { accountAudit, CREATED, type AccountServices } from '../accounts/accounts.ts'
import { blobRecord, type BlobRecord } from '../encryption/blob-records.ts'
import { unlinkAfter } from '../encryption/blob-commits.ts'
import { isRetired } from '../encryption/key-ring-rows.ts'
import { recordTampered } from '../encryption/record-tampered.ts'
import type { OpenBlob, SealedBlobs } from '../encryption/sealed-blobs.ts'
import { untilRefused } from '../encryption/until-refused.ts'
import type { Finding } from '../engines/engine.ts'
import { checkTrainingFile } from '../engines/training-file.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import { mustNotExist, put, remove, VersionConflict, type Change, type Stored } from '../store/records.ts'
import { leftNothing } from '../store/storage-errors.ts'
import { checkId, lastIdOf, newId, notFound } from './ids.ts'
import { FINISHED } from './job-states.ts'
import {
  files,
  fileUses,
  isOwnFile,
  jobs,
  KIND_OF_PURPOSE,
  ownedKey,
  type FileRecord,
  type JobRecord,
} from './records.ts'
import { tee } from './tee.ts'

/** The sealed metadata of a file's blob. */
interface FileSecrets {
  readonly filename: string
  /** Hex. */
  readonly sha256: string
}

/** A sealed upload without a record: `Files.keep` makes it a file, `Files.discard` removes it. */
export interface PendingFile {
  readonly record: FileRecord
  readonly changes: Change[]
  readonly filename: string
  readonly findings: readonly Finding[]
}

/** The least examples of a training file, checked when a job is created. A validation file may be shorter. */
const TOO_FEW = 'invalid_n_examples'

export interface FilesOptions extends Pick<AccountServices, 'accounts' | 'records' | 'env' | 'audit'> {
  readonly blobs: SealedBlobs
}

/** Training files and result files of accounts, sealed. */
export class Files {
  readonly #options: FilesOptions
  readonly #blobs: SealedBlobs

  constructor(options: FilesOptions) {
    this.#options = options
    this.#blobs = options.blobs
  }

  /** R01: seals the bytes while they arrive, and checks at the same time whether they are training data. @throws KeyUnavailable */
  async receive(account: Account, bytes: Readable, filename: string): Promise<PendingFile> {
    const { accountId } = account
    const digest = createHash('sha256')
    let refused: AzureError | undefined
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes as AsyncIterable<Uint8Array>) {
        if (refused !== undefined) throw refused
        digest.update(chunk)
        yield chunk
      }
    }
    const { passing, watched, stop } = tee(hashed(), copy => checkTrainingFile(copy))
    // The check ended before the bytes did, so the rest need not be read.
    void watched.then(
      ({ examples, findings }) => (refused = refusalOf(examples, findings)),
      () => undefined,
    )
    const metadata = (): Buffer => secrets({ filename, sha256: digest.digest('hex') })
    const creating = this.#blobs.create({ accountId, kind: 'training-data', source: passing, metadata })
    // With a revoked key it is refused before the first byte is read.
    creating.catch(stop)
    const [created, checked] = await Promise.allSettled([creating, watched])
    if (created.status === 'rejected') throw tooLateOr(created.reason)
    const { record, changes } = created.value
    if (checked.status === 'rejected') {
      await this.#blobs.discard(record)
      throw checked.reason
    }
    const { examples, format, findings } = checked.value
    return {
      record: {
        ...(await this.#fileOf(accountId, record.blobId, record.size, 'fine-tune')),
        examples,
        ...(format === undefined ? {} : { format }),
      },
      changes,
      filename,
      findings,
    }
  }

  /** @throws 400 jsonlValidationFailed with one detail for each line, 404 where the account was deleted meanwhile; then nothing is kept */
  async keep(account: Account, pending: PendingFile): Promise<FileRecord> {
    const refused = refusalOf(pending.record.examples ?? 0, pending.findings)
    if (refused !== undefined) {
      await this.discard(pending)
      throw refused
    }
    const { record, changes } = pending
    const entry = accountAudit(account, 'Microsoft.CognitiveServices/accounts/OpenAI/files/write', record.fileId, {
      bytes: record.bytes,
      ...CREATED,
    })
    const kept = [...changes, put(files, ownedKey(account.accountId, record.fileId), record, 0)]
    try {
      await this.#options.accounts.commitUnder(account, entry, kept)
    } catch (error) {
      // ADR 0023: it is not known whether the file was kept, so it stays.
      if (leftNothing(error)) await this.discard(pending)
      throw tooLateOr(error)
    }
    return record
  }

  /** Removes bytes that were never acknowledged. */
  async discard({ record: { accountId, blobId } }: PendingFile): Promise<void> {
    await this.#blobs.discard({ accountId, blobId })
  }

  /** A result file that the service writes. The changes are for the caller's commit. */
  async createResult(
    accountId: string,
    filename: string,
    content: Buffer,
    create: SealedBlobs['create'],
  ): Promise<{ record: FileRecord; changes: Change[] }> {
    const sha256 = createHash('sha256').update(content).digest('hex')
    const metadata = (): Buffer => secrets({ filename, sha256 })
    const source = (async function* () {
      yield content
    })()
    const { record: blob, changes } = await create({ accountId, kind: 'training-result', source, metadata })
    const record = await this.#fileOf(accountId, blob.blobId, blob.size, 'fine-tune-results')
    return { record, changes: [...changes, put(files, ownedKey(accountId, record.fileId), record, 0)] }
  }

  /** @throws 404 notFound */
  async get(accountId: string, fileId: string): Promise<Stored<FileRecord>> {
    const found = await this.#options.records.get(files, ownedKey(accountId, checkId(fileId, 'file-', 'file')))
    if (found === undefined) throw notFound('file', fileId)
    if (!isOwnFile(found, accountId)) throw recordTampered(`the file ${fileId}`)
    return found
  }

  /** @throws KeyUnavailable (R22) */
  async open(accountId: string, file: FileRecord): Promise<OpenBlob> {
    return this.#blobs.open(await this.#blobOf(accountId, file))
  }

  /** K5: its blob must belong to the calling account and be of a file's kind. */
  #blobOf(accountId: string, { blobId, purpose }: FileRecord): Promise<BlobRecord> {
    return blobRecord(this.#options.records, accountId, blobId, KIND_OF_PURPOSE[purpose])
  }

  /** The sealed name; undefined while its key is unavailable, since lists still work then. */
  filename(accountId: string, file: FileRecord, opener = untilRefused()): Promise<string | undefined> {
    return opener(async () => {
      const record = await this.#blobOf(accountId, file)
      return (JSON.parse((await this.#blobs.metadata(record)).toString('utf8')) as FileSecrets).filename
    })
  }

  /**
   * R26: destroys the blob's key and unlinks its bytes. Works while the customer's key is revoked.
   * @throws 409 while an unfinished job reads it, since all of its training would be lost
   */
  async delete(account: Account, stored: Stored<FileRecord>): Promise<void> {
    for (let found = stored; ; found = await this.get(account.accountId, stored.value.fileId)) {
      try {
        return await this.#delete(account, found)
      } catch (error) {
        // A job was created with it meanwhile, or another request deleted it.
        if (!(error instanceof VersionConflict)) throw error
      }
    }
  }

  async #delete(account: Account, stored: Stored<FileRecord>): Promise<void> {
    const { fileId, blobId, bytes } = stored.value
    const use = await this.#options.records.get(fileUses, stored.id)
    const reader = await this.#readerOf(account.accountId, fileId)
    if (reader !== undefined) throw isRead(fileId, reader)
    const { changes, unlink } = await this.#blobs.remove(account.accountId, blobId)
    const entry = accountAudit(
      account,
      'Microsoft.CognitiveServices/accounts/OpenAI/files/delete',
      `${fileId}: key destroyed`,
      { blobId, bytes },
    )
    // No job has begun to use it since the look at all jobs.
    const unused = use === undefined ? mustNotExist(fileUses, stored.id) : remove(fileUses, stored.id, use.version)
    const removed = [remove(files, stored.id, stored.version), unused, ...changes]
    await unlinkAfter(this.#options.audit.append(entry, removed, { shred: true }), [{ unlink }])
  }

  /** A job that still needs the file. */
  async #readerOf(accountId: string, fileId: string): Promise<JobRecord | undefined> {
    for await (const { value } of everyRecord(this.#options.records, jobs, { prefix: `${accountId}/` }))
      if (!FINISHED.has(value.status) && [value.trainingFile, value.validationFile].includes(fileId)) return value
    return undefined
  }

  async list(
    accountId: string,
    options: { after?: string | undefined; limit: number; ascending: boolean; purpose?: string | undefined },
  ): Promise<{ page: FileRecord[]; hasMore: boolean }> {
    const page: FileRecord[] = []
    const after = options.after === undefined ? {} : { after: ownedKey(accountId, options.after) }
    const all = { prefix: `${accountId}/`, reverse: !options.ascending, ...after }
    for await (const stored of everyRecord(this.#options.records, files, all)) {
      const { value } = stored
      if (!isOwnFile(stored, accountId)) continue
      if (options.purpose !== undefined && value.purpose !== options.purpose) continue
      if (page.length === options.limit) return { page, hasMore: true }
      page.push(value)
    }
    return { page, hasMore: false }
  }

  async #fileOf(accountId: string, blobId: string, bytes: number, purpose: FileRecord['purpose']): Promise<FileRecord> {
    const { env, records } = this.#options
    const fileId = newId(env, 'file-', await lastIdOf(records, files, `${accountId}/`))
    return { fileId, accountId, purpose, blobId, bytes, createdAt: Math.floor(env.now() / 1000) }
  }
}

function isRead(fileId: string, { jobId, status }: JobRecord): Conflict {
  return new Conflict(
    'conflict',
    `The file '${fileId}' is read by the fine-tuning job '${jobId}', which is ${status}. Wait for its end, or cancel the job first.`,
  )
}

function tooLateOr(error: unknown): unknown {
  if (!isRetired(error)) return error
  return new Conflict(
    'conflict',
    'The resource got another data key while the file came in, and nothing is stored under the former one any more. Upload the file again.',
    { cause: error },
  )
}

function secrets(value: FileSecrets): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function refusalOf(examples: number, findings: readonly Finding[]): AzureError | undefined {
  const errors = findings.filter(({ level, code }) => level === 'error' && (examples === 0 || code !== TOO_FEW))
  return errors.length > 0 ? notTrainingData(errors) : undefined
}

function notTrainingData(errors: readonly Finding[]): AzureError {
  const details = errors
    .slice(0, 20)
    .map(({ code, message, line }) => ({ code, message, ...(line === undefined ? {} : { target: `line ${line}` }) }))
  const rest = details.length > 1 ? ` There are ${details.length - 1} more findings in details.` : ''
  const message = `The file is not JSONL for fine-tuning. ${errors[0]?.message ?? ''}.${rest} Fix the file and upload it again.`
  return new AzureError('jsonlValidationFailed', 400, message, { target: 'file', details })
}

import { everyRecord } from '../store/every-record.ts'
import { collection, type ListOptions, type RecordStore, type Stored } from '../store/records.ts'
import { NotFound } from '../http/errors.ts'
import { isInPlace, recordTampered } from './record-tampered.ts'

/** What a blob holds; bound into its associated data. */
export type DataKind = 'training-data' | 'training-result' | 'checkpoint' | 'fine-tuned-model' | 'deployment'

/** A sealed blob's record. Removing it destroys the only copy of the blob's key (R26, R28). */
export interface BlobRecord {
  /** UUID. */
  readonly blobId: string
  /** Name of the sealed file; absent: the blob id. A blob that was re-encrypted has a file with another name. */
  readonly storedAs?: string
  readonly accountId: string
  readonly kind: DataKind
  /** Generation of the account's data key that wraps the blob key; 0: a deployment's own copy, under the service's key (R25). */
  readonly generation: number
  /** Base64. */
  readonly wrappedKey: string
  /** Base64 of the sealed blob's header. */
  readonly header: string
  /** Base64; the sealed metadata (file name, digest), when there is any. */
  readonly metadata?: string
  /** Plaintext bytes. */
  readonly size: number
  /** Sealed bytes on the disk. */
  readonly storedSize: number
  /** ISO 8601. */
  readonly createdAt: string
}

/** By `<account id>/<blob id>`. */
export const blobRecords = collection<BlobRecord>('encryption.blobs')

/** Every blob of an account, by id, while others are served in between. */
export function blobsOfAccount(records: RecordStore, accountId: string): AsyncGenerator<Stored<BlobRecord>> {
  return everyRecord(records, blobRecords, { prefix: `${accountId}/` })
}

/** Every blob of all accounts, also of deleted ones, in the order of their ids. `after`: the last one of the page before. */
export function everyBlob(
  records: RecordStore,
  options: Pick<ListOptions, 'after' | 'onTampered'> = {},
): AsyncGenerator<Stored<BlobRecord>> {
  return everyRecord(records, blobRecords, options)
}

export function blobKeyOf(accountId: string, blobId: string): string {
  return `${accountId}/${blobId}`
}

/** The name in the blob store. */
export function fileOf(record: Pick<BlobRecord, 'blobId' | 'storedAs'>): string {
  return record.storedAs ?? record.blobId
}

/**
 * The file to which a re-encryption to this generation of the data key writes a blob. Each attempt has its own: a process that stood
 * still while another one took its work over must not remove what that one has written.
 */
export function fileOfAttempt(blobId: string, generation: number, attempt: string): string {
  return `${rewrittenPrefix(blobId)}${generation}-${attempt}`
}

/** With what the names of a blob's files from re-encryptions begin. */
export function rewrittenPrefix(blobId: string): string {
  return `${blobId}-g`
}

/** Whether a name in the blob store belongs to the blob, in any generation. Earlier releases wrote names without an attempt. */
export function isFileOf(name: string, blobId: string): boolean {
  const prefix = rewrittenPrefix(blobId)
  return name === blobId || (name.startsWith(prefix) && /^\d+(-[0-9a-f]{8})?$/.test(name.slice(prefix.length)))
}

/** Whether a blob's record has the id that fits its value. */
export function isOwnBlob(stored: Pick<Stored<BlobRecord>, 'id' | 'value'>, accountId: string): boolean {
  return isInPlace(stored, accountId, value => blobKeyOf(value.accountId, value.blobId))
}

/**
 * A blob of this account and of one of these kinds, whatever the row that named it says (K5).
 * @throws 404 BlobNotFound, 500 DataCorrupted
 */
export async function blobRecord(
  records: RecordStore,
  accountId: string,
  blobId: string,
  kinds: readonly DataKind[],
): Promise<BlobRecord> {
  const found = await records.get(blobRecords, blobKeyOf(accountId, blobId))
  if (found === undefined) throw blobGone()
  if (!isOwnBlob(found, accountId) || !kinds.includes(found.value.kind)) throw recordTampered(`the blob ${blobId}`)
  return found.value
}

/** Also for callers who read its record before it was deleted and find no file any more. */
export function blobGone(): NotFound {
  return new NotFound('BlobNotFound', 'The data was deleted.')
}

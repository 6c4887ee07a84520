/** Bytes that can be read from any place. Sealed blobs are opened over this. */
export interface BlobReader {
  /** Bytes. */
  readonly size: number
  /** Exactly `length` bytes from `offset`, fewer only at the end of the blob. */
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

/** Stores sealed bytes. It sees ciphertext only. Ids: 1 to 64 of `a-z`, `0-9`, `-`. */
export interface BlobStore {
  /**
   * Writes the whole source under a new id, durable when the promise resolves (temporary name, fsync, rename, fsync of the folder).
   * A source that throws leaves nothing behind. Resolves to the number of bytes.
   * @throws BlobExists when the id exists, StorageRefused when the disk is full or takes no writes
   *
   * One chunk is written while the next is produced. A source may reuse a buffer once the chunk after it has been asked for and
   * delivered, so two buffers in turn are enough. Chunks of about 1 MiB are fastest.
   */
  create(id: string, source: AsyncIterable<Uint8Array>): Promise<number>
  /** Undefined when there is no such blob. */
  open(id: string): Promise<BlobReader | undefined>
  /** Unlinks the blob, durable when the promise resolves. It is not an error when there is none. */
  remove(id: string): Promise<void>
  /** Every id, in no order. @param prefix only ids that begin with it; with two characters or more it does not read all of them */
  list(prefix?: string): AsyncIterable<string>
}

/** Thrown by `create` when the id is taken or is being written. */
export class BlobExists extends Error {
  constructor(id: string) {
    super(`There is a blob ${id} already.`)
    this.name = 'BlobExists'
  }
}

/** An id is part of a path, so it may only have these characters. @throws RangeError */
export function checkBlobId(id: string): void {
  if (!isBlobId(id)) throw new RangeError('A blob id is 1 to 64 of the characters a-z, 0-9 and hyphen.')
}

export function isBlobId(name: string): boolean {
  return /^[a-z0-9-]{1,64}$/u.test(name)
}

/** @throws RangeError unless both are whole numbers from 0 */
export function checkByteRange(offset: number, length: number): void {
  for (const number of [offset, length]) {
    if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`Not a number of bytes: ${number}.`)
  }
}

/** Bytes that can be read from any place; sealed blobs are opened over this. */
export interface BlobReader {
  /** Bytes. */
  readonly size: number
  /** Exactly `length` bytes from `offset`, fewer only at the end of the blob. */
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

/** Where sealed bytes lie. It sees ciphertext only. */
export interface BlobStore {
  /**
   * Writes the whole source under a new id, durable when the promise resolves (temporary name, fsync, rename, fsync of the folder).
   * A source that throws leaves nothing behind. Resolves to the number of bytes. @throws when the id exists
   */
  create(id: string, source: AsyncIterable<Uint8Array>): Promise<number>
  /** Undefined when there is no such blob. */
  open(id: string): Promise<BlobReader | undefined>
  /** Unlinks the blob, durable when the promise resolves; no error when there is none. */
  remove(id: string): Promise<void>
  /** Every id, in no order. */
  list(): AsyncIterable<string>
}

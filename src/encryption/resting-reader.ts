import type { BlobReader } from '../store/blobs.ts'

/** A sealed file that is open only while it is read. After `rest` the next read opens it again. */
export class RestingReader {
  /** Bytes. */
  readonly size: number
  readonly #open: () => Promise<BlobReader | undefined>
  #reader: Promise<BlobReader> | undefined

  private constructor(reader: BlobReader, open: () => Promise<BlobReader | undefined>) {
    this.size = reader.size
    this.#open = open
    this.#reader = Promise.resolve(reader)
  }

  /** Undefined when there is no such file. */
  static async of(open: () => Promise<BlobReader | undefined>): Promise<RestingReader | undefined> {
    const reader = await open()
    return reader === undefined ? undefined : new RestingReader(reader, open)
  }

  /** @throws FileGone when it was removed since it was first opened */
  async read(offset: number, length: number): Promise<Buffer> {
    this.#reader ??= this.#reopened()
    return (await this.#reader).read(offset, length)
  }

  /** Closes it until it is read again. */
  async rest(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.then(
      open => open.close(),
      () => undefined,
    )
  }

  async #reopened(): Promise<BlobReader> {
    const reader = await this.#open()
    if (reader === undefined) throw new FileGone()
    return reader
  }
}

/** The file of a blob is gone: the blob was deleted, or sealed anew into another file. */
export class FileGone extends Error {}

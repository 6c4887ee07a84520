import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, rename, rm, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { FailedSync } from '../base/failed-sync.ts'
import { exists, hasCode, syncFolder } from './atomic-file.ts'
import { blobFile, blobFiles, blobsOfFanOut, FAN_OUT, fanOutOf, INCOMING } from './blob-files.ts'
import { BlobExists, checkByteRange, type BlobReader, type BlobStore } from './blobs.ts'
import { CommitUnknown, refusalOf } from './storage-errors.ts'

/**
 * Blobs as files of a folder (`<folder>/<first two characters of the id>/<id>`, modes 0700 and 0600), for this process alone.
 * Opening removes half-written files of an earlier process.
 */
export async function openDirectoryBlobs(folder: string): Promise<BlobStore> {
  const incoming = join(folder, INCOMING)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  await rm(incoming, { recursive: true, force: true })
  await mkdir(incoming, { mode: 0o700 })
  await syncFolder(folder)
  return new DirectoryBlobs(folder, incoming)
}

/** The same, read-only. */
export function readDirectoryBlobs(folder: string): BlobStore {
  const blobs = new DirectoryBlobs(folder, join(folder, INCOMING))
  const refuse = async (): Promise<never> => {
    throw new Error('These blobs were opened to be read.')
  }
  return { open: id => blobs.open(id), list: prefix => blobs.list(prefix), create: refuse, remove: refuse }
}

class DirectoryBlobs implements BlobStore {
  readonly #folder: string
  readonly #incoming: string
  readonly #creating = new Set<string>()
  readonly #fanOut = new Map<string, Promise<void>>()

  constructor(folder: string, incoming: string) {
    this.#folder = folder
    this.#incoming = incoming
  }

  async create(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const path = this.#pathOf(id)
    // rename would replace a blob silently. Only this process uses the folder, so a check before is enough.
    if (this.#creating.has(id)) throw new BlobExists(id)
    this.#creating.add(id)
    const temporary = join(this.#incoming, randomUUID())
    try {
      if (await exists(path)) throw new BlobExists(id)
      const size = await writeDurably(temporary, source)
      await this.#makeFanOut(id)
      await rename(temporary, path)
      await syncFolder(this.#fanOutOf(id)).catch(async error => {
        // No record names it yet.
        await rm(path, { force: true }).catch(() => undefined)
        throw error
      })
      return size
    } catch (error) {
      // On a read-only disk nothing can be removed; the next start does it.
      await rm(temporary, { force: true }).catch(() => undefined)
      throw refusalOf(error)
    } finally {
      this.#creating.delete(id)
    }
  }

  async open(id: string): Promise<BlobReader | undefined> {
    try {
      const file = await open(this.#pathOf(id), 'r')
      return await fileReader(file)
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async remove(id: string): Promise<void> {
    try {
      await unlink(this.#pathOf(id))
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
    // Also when it is gone already, since an earlier call may have failed between unlink and sync.
    try {
      await syncFolder(this.#fanOutOf(id))
    } catch (error) {
      // Its record is gone already.
      if (error instanceof FailedSync) throw new CommitUnknown(error)
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }

  async *list(prefix = ''): AsyncIterable<string> {
    if (prefix.length < FAN_OUT) yield* (await blobFiles(this.#folder)).ids.filter(id => id.startsWith(prefix))
    else for (const id of await blobsOfFanOut(this.#folder, prefix)) if (id.startsWith(prefix)) yield id
  }

  #pathOf(id: string): string {
    return blobFile(this.#folder, id)
  }

  #fanOutOf(id: string): string {
    return fanOutOf(this.#folder, id)
  }

  /** Once for each folder; a failed attempt is repeated. */
  async #makeFanOut(id: string): Promise<void> {
    const path = this.#fanOutOf(id)
    let made = this.#fanOut.get(path)
    if (!made) {
      made = mkdir(path, { recursive: true, mode: 0o700 }).then(() => syncFolder(this.#folder))
      this.#fanOut.set(path, made)
    }
    try {
      await made
    } catch (error) {
      this.#fanOut.delete(path)
      throw error
    }
  }
}

async function writeDurably(path: string, source: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'wx', 0o600)
  let size = 0
  let writing: Promise<void> = Promise.resolve()
  try {
    for await (const chunk of source) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('A blob is made of bytes.')
      await writing
      writing = writeAll(file, chunk, size)
      // It is awaited before the next write, so until then a failure must not count as unhandled.
      writing.catch(() => undefined)
      size += chunk.length
    }
    await writing
    await file.sync()
  } finally {
    await writing.catch(() => undefined)
    await file.close()
  }
  return size
}

/** One write may write fewer bytes than it was given. */
async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done)
    done += bytesWritten
  }
}

async function fileReader(file: FileHandle): Promise<BlobReader> {
  let size: number
  try {
    ;({ size } = await file.stat())
  } catch (error) {
    await file.close()
    throw error
  }
  return {
    size,
    async read(offset, length) {
      checkByteRange(offset, length)
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)))
      for (let done = 0; done < buffer.length;) {
        const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done)
        if (bytesRead === 0) throw new Error('A blob became shorter while it was being read.')
        done += bytesRead
      }
      return buffer
    },
    close: () => file.close(),
  }
}

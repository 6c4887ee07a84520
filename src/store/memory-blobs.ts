import { BlobExists, checkBlobId, checkByteRange, type BlobReader, type BlobStore } from './blobs.ts'

/** The in-memory twin of the folder of blobs. Bytes go in and out as copies. */
export function openMemoryBlobs(): BlobStore {
  const blobs = new Map<string, Buffer>()
  const creating = new Set<string>()

  return {
    async create(id, source) {
      checkBlobId(id)
      if (blobs.has(id) || creating.has(id)) throw new BlobExists(id)
      creating.add(id)
      try {
        const chunks: Buffer[] = []
        for await (const chunk of source) chunks.push(Buffer.from(chunk))
        const whole = Buffer.concat(chunks)
        blobs.set(id, whole)
        return whole.length
      } finally {
        creating.delete(id)
      }
    },
    async open(id) {
      checkBlobId(id)
      const bytes = blobs.get(id)
      return bytes && memoryReader(bytes)
    },
    async remove(id) {
      checkBlobId(id)
      blobs.delete(id)
    },
    async *list(prefix = '') {
      for (const id of blobs.keys()) if (id.startsWith(prefix)) yield id
    },
  }
}

function memoryReader(bytes: Buffer): BlobReader {
  let closed = false
  return {
    size: bytes.length,
    async read(offset, length) {
      if (closed) throw new Error('The blob is closed.')
      checkByteRange(offset, length)
      return Buffer.from(bytes.subarray(offset, offset + length))
    },
    async close() {
      closed = true
    },
  }
}

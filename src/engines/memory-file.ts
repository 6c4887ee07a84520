import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import koffi from 'koffi'
import { EngineFailure } from './failures.ts'

const CLOSE_ON_EXEC = 1

/** A file in memory only. It is gone when it is closed and nobody maps it. */
export interface MemoryFile {
  /** For this process. */
  readonly path: string
  write(bytes: Uint8Array): void
  /** Makes it as long as this; bytes that were not written are zeros and take no memory. */
  grow(bytes: number): void
  close(): void
}

/** An empty file in memory only (memfd_create(2)), since llama.cpp needs a path and some data must not be on a disk. @throws EngineFailure */
export function growingMemoryFile(name: string): MemoryFile {
  if (process.platform !== 'linux') {
    throw new EngineFailure('fine-tuned models and sealed bases need memfd_create, which only Linux has')
  }
  const create = koffi.load(null).func('int memfd_create(const char *name, unsigned int flags)')
  const file = create(name, CLOSE_ON_EXEC) as number
  if (file < 0) throw new EngineFailure('the kernel refused memfd_create')
  return {
    path: `/proc/self/fd/${file}`,
    write(bytes) {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    },
    grow: bytes => ftruncateSync(file, bytes),
    close: () => closeSync(file),
  }
}

/** Bytes as a file in memory only. @throws EngineFailure */
export function memoryFile(bytes: Uint8Array): Pick<MemoryFile, 'path' | 'close'> {
  const file = growingMemoryFile('adapter')
  file.write(bytes)
  return file
}

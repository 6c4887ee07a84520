import { closeSync, writeSync } from 'node:fs'
import koffi from 'koffi'
import { EngineFailure } from './failures.ts'

const CLOSE_ON_EXEC = 1

/** Bytes as a file in memory only (memfd_create(2)), since llama.cpp needs a path and customers' data must not be on a disk. */
export function memoryFile(bytes: Uint8Array): { readonly path: string; close(): void } {
  if (process.platform !== 'linux') {
    throw new EngineFailure('serving fine-tuned models needs memfd_create, which only Linux has')
  }
  const create = koffi.load(null).func('int memfd_create(const char *name, unsigned int flags)')
  const file = create('adapter', CLOSE_ON_EXEC) as number
  if (file < 0) throw new EngineFailure('the kernel refused memfd_create')
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
  return { path: `/proc/self/fd/${file}`, close: () => closeSync(file) }
}

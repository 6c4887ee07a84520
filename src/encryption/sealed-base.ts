import { createSecretKey } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Env } from '../base/env.ts'
import { openSealed, seal } from '../crypto/sealed-blob.ts'
import { encodeContext, newDataKey, unwrap, wipe, wrap } from '../crypto/wrap.ts'
import { syncFolder } from '../store/atomic-file.ts'
import type { RootKeys } from './root-key.ts'

/** What opens the sealed weights of a base, together with the root key. Without it they are gone. */
export interface BaseKey {
  /** A UUID, bound into the ciphertext. */
  readonly id: string
  /** The blob key, wrapped under a key of the root key; base64. */
  readonly key: string
}

/** Opened weights of a base. */
export interface OpenedBase {
  /** Bytes of plaintext. */
  readonly bytes: number
  /** Plaintext from `start` to `end` (exclusive), each part after its tag passed. @throws SealError */
  read(start?: number, end?: number): AsyncIterable<Buffer>
  close(): Promise<void>
}

type Bases = Pick<RootKeys, 'bases'>

/** Weights belong to the operator and to no account. */
const contextOf = (id: string) => ({ accountId: 'operator', kind: 'base-model', blobId: id, generation: 1 })
const wrapContext = (id: string): Buffer => encodeContext('base-model', id)

/** Seals a base's weights (docs/sealed-blob.md) into a new file, durable when it resolves. @throws Error; then the file is not there */
export async function sealBase(
  source: AsyncIterable<Uint8Array>,
  path: string,
  { bases }: Bases,
  env: Pick<Env, 'uuid'>,
): Promise<BaseKey> {
  const id = env.uuid()
  const bytes = newDataKey()
  const file = await open(path, 'wx', 0o600)
  try {
    const wrapped = wrap(bases, bytes, wrapContext(id))
    const sealed = seal(createSecretKey(bytes), contextOf(id), source)
    for await (const part of sealed.bytes) await file.writeFile(part)
    await file.sync()
    return { id, key: wrapped.toString('base64') }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    wipe(bytes)
    await file.close()
    await syncFolder(dirname(path))
  }
}

/** @throws SealError where the root key, the base's key or the file is another one; Error where the file can't be read */
export async function openBase(path: string, { id, key }: BaseKey, { bases }: Bases): Promise<OpenedBase> {
  const bytes = unwrap(bases, Buffer.from(key, 'base64'), wrapContext(id))
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const reader = { size, read: (offset: number, length: number) => readAt(file, offset, length) }
    const opened = await openSealed(createSecretKey(bytes), contextOf(id), reader)
    return { bytes: opened.size, read: (start, end) => opened.read(start, end), close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  } finally {
    wipe(bytes)
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, offset)
  return buffer.subarray(0, bytesRead)
}

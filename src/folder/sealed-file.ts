import { open } from 'node:fs/promises'
import { HEADER_BYTES } from '../crypto/blob-header.ts'
import { plainError } from '../base/plain-error.ts'
import { hasCode } from '../store/atomic-file.ts'

/** What can be read from a sealed file without a key. */
export interface SealedFile {
  readonly size: number
  /** Base64, as in its record. It contains random salt, so no other blob has the same. */
  readonly header: string
}

/** Opens the file once, since its owner may delete it at any moment. Undefined where it does not exist. @throws where it can't be read */
export async function lookAtFile(path: string): Promise<SealedFile | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
    return { size, header: buffer.toString('base64', 0, bytesRead) }
  } finally {
    await file.close()
  }
}

/** For one file among many: the reason why the disk or its mode does not let it be read, so that the others are still checked. @throws other errors */
export function unreadable(error: unknown): string {
  if (!(error instanceof Error && 'syscall' in error)) throw error
  return `can't be read: ${plainError(error)}`
}

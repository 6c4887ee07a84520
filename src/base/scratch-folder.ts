import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { plainError } from './plain-error.ts'

/** A new folder for temporary files, with this prefix. @throws Error that says what to do where it can't be made */
export async function makeScratchFolder(prefix: string): Promise<string> {
  const parent = tmpdir()
  return mkdtemp(join(parent, prefix)).catch((error: unknown) => {
    const why = plainError(Object.assign(new Error(String(error)), error, { path: parent }))
    throw new Error(`${why} TMPDIR names another folder for temporary files.`, { cause: error })
  })
}

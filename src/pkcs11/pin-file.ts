import { open } from 'node:fs/promises'
import { plainError } from '../base/plain-error.ts'

const MAX_PIN_BYTES = 256

/** The PIN in a file that its owner alone may read; a newline at the end does not count. The caller wipes it. @throws Error that says what to do */
export async function readPinFile(path: string): Promise<Buffer> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new Error(`The PIN file ${path} can't be read: ${plainError(error)}`, { cause: error })
  })
  try {
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0) {
      throw new Error(`The PIN file ${path} may be read by others than its owner: run chmod 600 ${path}.`)
    }
    if (size > MAX_PIN_BYTES) throw new Error(`The PIN file ${path} is larger than a PIN: it must hold the PIN alone.`)
    const bytes = await file.readFile()
    let length = bytes.length
    while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--
    if (length === 0) throw new Error(`The PIN file ${path} is empty: put the PIN of the token's user into it.`)
    return bytes.subarray(0, length)
  } finally {
    await file.close()
  }
}

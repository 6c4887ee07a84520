import { open, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../base/make-folder.ts'
import { syncFolders } from '../base/sync-names.ts'

export interface SequencedLine {
  /** Grows from line to line, and is in the line's JSON as `sequence`. */
  readonly sequence: number
  /** JSON without a line end. */
  readonly text: string
}

/** The longest line that is looked for at the end of a file; bytes. */
const MAX_LINE = 256 * 1024

/**
 * Appends JSON lines to a file (mode 0600, made with its folders, 0700), durable when the promise resolves. Lines that exist already
 * are not written again, and a line that a crash cut off is replaced. So repeating an interrupted call writes each line once.
 * @throws when the file ends with a line that is not one of these
 */
export async function appendLines(path: string, lines: readonly SequencedLine[]): Promise<void> {
  const made = await makeFolder(dirname(path))
  const file = await open(path, 'a+', 0o600)
  let isNew: boolean
  try {
    const { size } = await file.stat()
    isNew = size === 0
    const last = await lastSequence(file, size, path)
    const fresh = lines.filter(({ sequence }) => sequence > last)
    if (fresh.length > 0) {
      await appendDurably(file, fresh.map(({ text }) => `${text}\n`).join(''))
    }
  } finally {
    await file.close()
  }
  if (!isNew) return
  await syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made)).catch(async (error: unknown) => {
    // Otherwise the next call would assume that the file's name is durable and its lines are written.
    await rm(path, { force: true }).catch(() => undefined)
    throw error
  })
}

/** After a failed sync its lines count as written, so they are cut off again and a repetition writes them anew. */
async function appendDurably(file: FileHandle, text: string): Promise<void> {
  const { size } = await file.stat()
  try {
    await file.appendFile(text)
    await file.datasync()
  } catch (error) {
    await file.truncate(size).catch(() => undefined)
    throw error
  }
}

/** Cuts off an incomplete line, and reads the number of the last complete one; 0 where there is none. */
async function lastSequence(file: FileHandle, size: number, path: string): Promise<number> {
  const length = Math.min(size, MAX_LINE)
  const tail = Buffer.alloc(length)
  await file.read(tail, 0, length, size - length)
  const end = tail.lastIndexOf(0x0a)
  if (end + 1 < length) await file.truncate(size - length + end + 1)
  if (end < 0) return 0
  const begin = tail.lastIndexOf(0x0a, end - 1) + 1
  const sequence = sequenceIn(tail.subarray(begin, end).toString())
  if (sequence !== undefined) return sequence
  throw new Error(`The last line of ${path} was not written by this service: move the file away.`)
}

function sequenceIn(line: string): number | undefined {
  try {
    const { sequence } = JSON.parse(line) as { sequence?: unknown }
    return typeof sequence === 'number' ? sequence : undefined
  } catch {
    return undefined
  }
}

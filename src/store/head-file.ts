import { closeSync, fdatasync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { hasCode, writeFileAtomically } from './atomic-file.ts'
import { RecordsLost, type RecordsHead } from './records.ts'

/** Each head is written to a slot of one disk sector, in turn, so a power cut tears at most the newer one. */
const slotBytes = 512
const slots = 2
const syncMs = 1000

/**
 * The last acknowledged head, outside of the database. Where the database (or its log) is lost, cut off, damaged or replaced by an older
 * one, what is left of it looks whole by itself, so this shows it. It is written after each group of commits, once those are on the disk,
 * and synced each second. A crash of the process loses no head. After a power cut it is at most a second behind the records, never ahead.
 */
export interface HeadFile {
  write(head: RecordsHead): void
  close(): void
}

/** `records.db` has its head in `records.head`. */
export function headFileOf(database: string): string {
  return `${database.replace(/\.db$/, '')}.head`
}

/** The newest head in the file; undefined when there is no file. @throws RecordsLost when the file has no valid head */
export function readHeadFile(path: string): RecordsHead | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  let newest: RecordsHead | undefined
  for (let slot = 0; slot < slots; slot++) {
    const head = parseSlot(bytes.toString('latin1', slot * slotBytes, (slot + 1) * slotBytes))
    if (head !== undefined && (newest === undefined || head.counter > newest.counter)) newest = head
  }
  if (newest === undefined) throw new RecordsLost(`${path} is damaged: it names no state of the records.`)
  return newest
}

/** Makes the file anew and keeps it open. `onFailure` is called at the first of several failures in a row. */
export async function openHeadFile(
  path: string,
  head: RecordsHead,
  onFailure: (error: Error) => void = () => {},
): Promise<HeadFile> {
  await writeHeadFile(path, head)
  return new OpenHeadFile(path, head.counter, onFailure)
}

/** Makes the file anew, mode 0600, durable when the promise resolves. The records of the head must be on the disk already. */
export async function writeHeadFile(path: string, head: RecordsHead): Promise<void> {
  await writeFileAtomically(path, Buffer.concat([formatSlot(head), Buffer.alloc(slotBytes, ' ')]), 0o600)
}

class OpenHeadFile implements HeadFile {
  readonly #file: number
  readonly #onFailure: (error: Error) => void
  #counter: number
  #slot = 0
  #timer: NodeJS.Timeout | undefined
  #syncing = false
  #failed = false
  #closed = false

  constructor(path: string, counter: number, onFailure: (error: Error) => void) {
    this.#file = openSync(path, 'r+')
    this.#counter = counter
    this.#onFailure = onFailure
  }

  write(head: RecordsHead): void {
    if (this.#closed || head.counter <= this.#counter) return
    // The other slot stays until this one is whole: a failed or partial write is repeated in the same slot.
    const slot = (this.#slot + 1) % slots
    try {
      const written = writeSync(this.#file, formatSlot(head), 0, slotBytes, slot * slotBytes)
      if (written !== slotBytes) throw new Error(`The head was written in part (${written} of ${slotBytes} bytes).`)
      this.#slot = slot
      this.#counter = head.counter
      this.#failed = false
    } catch (error) {
      this.#fail(error as Error)
    }
    this.#timer ??= setTimeout(() => this.#sync(), syncMs).unref()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    if (this.#syncing) return
    try {
      fdatasyncSync(this.#file)
    } catch (error) {
      this.#fail(error as Error)
    }
    closeSync(this.#file)
  }

  #sync(): void {
    this.#timer = undefined
    this.#syncing = true
    fdatasync(this.#file, error => {
      this.#syncing = false
      if (error) this.#fail(error)
      if (this.#closed) closeSync(this.#file)
    })
  }

  /** The records are durable without it. A head that is behind them only detects less. */
  #fail(error: Error): void {
    if (!this.#failed) this.#onFailure(error)
    this.#failed = true
  }
}

function formatSlot({ counter, tag }: RecordsHead): Buffer {
  const text = `${counter} ${tag}`
  return Buffer.from(`${text} ${crc32(text).toString(16).padStart(8, '0')}`.padEnd(slotBytes - 1) + '\n', 'latin1')
}

function parseSlot(text: string): RecordsHead | undefined {
  const [, counter = '', tag = '', sum] = /^(\d{1,15}) ([0-9a-f]{64}) ([0-9a-f]{8}) *\n$/.exec(text) ?? []
  if (sum === undefined || crc32(`${counter} ${tag}`) !== Number.parseInt(sum, 16)) return undefined
  return { counter: Number(counter), tag }
}

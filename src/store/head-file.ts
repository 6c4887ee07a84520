import { closeSync, fdatasync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { hasCode, writeFileAtomically } from './atomic-file.ts'
import { RecordsLost, type RecordsHead } from './records.ts'

/** Each head is kept in a slot of one disk sector, in turn: a power cut tears at most the newer one. */
const slotBytes = 512
const slots = 2
const syncMs = 1000

/**
 * The last acknowledged head, outside the database: where the database (or its log) is lost, cut, damaged or replaced by an older one,
 * what is left of it looks whole by itself. Written after each group of commits, once those are on disk, and synced each second: a crash
 * of the process loses none, a power cut leaves it at most a second behind the records, and never ahead of them.
 */
export interface HeadFile {
  write(head: RecordsHead): void
  close(): void
}

/** `records.db` has its head in `records.head`. */
export function headFileOf(database: string): string {
  return `${database.replace(/\.db$/, '')}.head`
}

/** The newest head that the file holds; undefined when there is no file. @throws RecordsLost when it holds none */
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

/** Makes the file anew and keeps it open. `onFailure` hears of the first failure of a row. */
export async function openHeadFile(
  path: string,
  head: RecordsHead,
  onFailure: (error: Error) => void = () => {},
): Promise<HeadFile> {
  await writeHeadFile(path, head)
  return new OpenHeadFile(path, head.counter, onFailure)
}

/** Makes the file anew, mode 0600, durable when the promise resolves. The head must be on disk already. */
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
    // The other slot stays whole until this one is: a write that failed, or took a part, is made again in its own place.
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

  /** The records are durable without it: a head that is behind them only notices less. */
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

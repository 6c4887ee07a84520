import type { FindingCode } from './engine.ts'

/** One line of a training file. Its `bytes` are valid until the next chunk, and empty when it is blank or has a `problem`. */
export interface TrainingLine {
  /** 1-based. */
  readonly line: number
  readonly bytes: Buffer
  readonly problem?: { readonly code: FindingCode; readonly message: string }
}

const LINE_FEED = 10
const NOTHING = Buffer.alloc(0)
/** Blank lines that `next` skips before it returns one, so that its caller can yield. */
const BLANKS_AT_A_TIME = 16_384

/** Cuts chunks of bytes into lines, and keeps only the incomplete line. `take` a chunk, then call `next` until it returns undefined. */
export class TrainingLines {
  readonly #limits: { readonly file: number; readonly line: number }
  #line = 1
  #total = 0
  #size = 0
  /** The incomplete line. It grows by doubling, so that many small chunks cost no more than few large ones. */
  #held: Buffer = NOTHING
  #chunk: Uint8Array = NOTHING
  #at = 0
  #isOver = false

  /** @param limits in bytes */
  constructor(limits: { readonly file: number; readonly line: number }) {
    this.#limits = limits
  }

  take(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#at = 0
    this.#total += chunk.length
  }

  /** The next complete line, or a blank one after many blank ones; undefined: take another chunk. */
  next(): TrainingLine | undefined {
    if (this.#isOver) return undefined
    if (this.#total > this.#limits.file) {
      this.#isOver = true
      const message = `the file is larger than ${this.#limits.file} bytes`
      return { line: this.#line, bytes: NOTHING, problem: { code: 'file_too_large', message } }
    }
    if (this.#size === 0 && this.#passBlanks()) return { line: this.#line - 1, bytes: NOTHING }
    const end = this.#chunk.indexOf(LINE_FEED, this.#at)
    if (end < 0) {
      this.#hold(this.#chunk.subarray(this.#at))
      this.#chunk = NOTHING
      this.#at = 0
      return undefined
    }
    const rest = this.#chunk.subarray(this.#at, end)
    this.#at = end + 1
    if (this.#size > 0) this.#hold(rest)
    return this.#size > 0 ? this.#cut() : this.#lineOf(rest, rest.length)
  }

  /** The last line of the file, when it has no line end. */
  last(): TrainingLine | undefined {
    return this.#size > 0 && !this.#isOver ? this.#cut() : undefined
  }

  /** Lines with only JSON's blanks are skipped byte by byte, since decoding each would take a hundred times as long. */
  #passBlanks(): boolean {
    let begin = this.#at
    let passed = 0
    for (let at = begin; at < this.#chunk.length && passed < BLANKS_AT_A_TIME; at += 1) {
      const byte = this.#chunk[at]
      if (byte === LINE_FEED) {
        begin = at + 1
        passed += 1
      } else if (byte !== 32 && byte !== 13 && byte !== 9) break
    }
    this.#at = begin
    this.#line += passed
    return passed === BLANKS_AT_A_TIME
  }

  /** Copies, since the source may reuse its buffer. */
  #hold(part: Uint8Array): void {
    const before = this.#size
    this.#size += part.length
    if (this.#size > this.#limits.line) this.#held = NOTHING
    if (this.#size > this.#limits.line) return
    if (this.#size > this.#held.length) {
      const larger = Buffer.alloc(Math.min(this.#limits.line, Math.max(4096, 2 * this.#size)))
      larger.set(this.#held.subarray(0, before))
      this.#held = larger
    }
    this.#held.set(part, before)
  }

  #cut(): TrainingLine {
    const cut = this.#lineOf(this.#held, this.#size)
    this.#held = NOTHING
    this.#size = 0
    return cut
  }

  #lineOf(bytes: Uint8Array, size: number): TrainingLine {
    const line = this.#line
    this.#line += 1
    const message = `is longer than ${this.#limits.line} bytes`
    if (size > this.#limits.line) return { line, bytes: NOTHING, problem: { code: 'line_too_long', message } }
    return { line, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, size) }
  }
}

import { readFileSync } from 'node:fs'
import { hasCode } from './atomic-file.ts'

const headerBytes = 32
const frameHeaderBytes = 24
/** The last bit says in which byte order the checksums are computed: https://www.sqlite.org/fileformat2.html#walformat */
const magic = 0x377f_0682

/** How much of a write-ahead log SQLite takes over, and how much it silently leaves out. */
export interface WalLook {
  readonly framesTaken: number
  /** Frames of the current round of the log behind the first that does not fit. Their commits are lost. */
  readonly framesBehind: number
  /** Offset of the first byte that does not fit; undefined where everything fits. */
  readonly damagedAt?: number
}

/** Reads the log as SQLite's recovery does. Undefined when there is none, or it is empty. */
export function lookAtWal(path: string): WalLook | undefined {
  let log: Buffer
  try {
    log = readFileSync(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  if (log.length === 0) return undefined
  const pageSize = log.length < headerBytes ? 0 : log.readUInt32BE(8)
  const bigEndian = log.length < headerBytes ? 0 : log.readUInt32BE(0) - magic
  const isHeader = (bigEndian === 0 || bigEndian === 1) && pageSize >= 512 && pageSize <= 65_536
  const sum = new Checksum(bigEndian === 1)
  if (!isHeader || !sum.add(log, 0, headerBytes - 8).equals(log, headerBytes - 8))
    return { framesTaken: 0, framesBehind: Math.floor(log.length / 4096), damagedAt: 0 }
  const salt = log.subarray(16, 24)
  const frameBytes = frameHeaderBytes + pageSize
  let [at, framesTaken] = [headerBytes, 0]
  for (; at + frameBytes <= log.length; at += frameBytes) {
    if (!salt.equals(log.subarray(at + 8, at + 16))) break
    sum.add(log, at, 8).add(log, at + frameHeaderBytes, pageSize)
    if (!sum.equals(log, at + 16)) break
    framesTaken++
  }
  let framesBehind = 0
  for (let next = at + frameBytes; next + frameBytes <= log.length; next += frameBytes)
    if (salt.equals(log.subarray(next + 8, next + 16))) framesBehind++
  const isCut = at < log.length && at + frameBytes > log.length
  return { framesTaken, framesBehind, ...(framesBehind > 0 || isCut ? { damagedAt: at } : {}) }
}

/** Adler-like sums over pairs of 32-bit words. Each frame's sum covers all frames before it. */
class Checksum {
  readonly #bigEndian: boolean
  #first = 0
  #second = 0

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian
  }

  add(bytes: Buffer, from: number, length: number): this {
    const word = (at: number): number => (this.#bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))
    for (let at = from; at < from + length; at += 8) {
      this.#first = (this.#first + word(at) + this.#second) >>> 0
      this.#second = (this.#second + word(at + 4) + this.#first) >>> 0
    }
    return this
  }

  equals(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#first && bytes.readUInt32BE(at + 4) === this.#second
  }
}

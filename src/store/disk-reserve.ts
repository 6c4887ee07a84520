import { randomFillSync } from 'node:crypto'
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Bytes of the disk that are kept back, and released on a full disk for deletions, their audit records, and sign-ins. */
export interface DiskReserve {
  /** False after a part was released, until it is filled again. */
  readonly isWhole: boolean
  /** Releases a part to the file system; false when nothing is left for this. `last`: also the part for deletions alone. */
  release(last: boolean): boolean
  close(): void
}

const RESERVE_BYTES = 8 * 1024 * 1024
/** Bytes of one release. Others on the same disk may use them, so never all are released at once. */
const PART = 512 * 1024
/** Bytes that only a start gives out, since on a full disk there is no other way to serve again what is there. */
const FOR_STARTS = PART
/** Bytes that must be free beside the reserve before it is filled, since otherwise the next commit would need it again. */
const MARGIN = 2 * 1024 * 1024
const REFILL_MS = 1000

/** `records.db` has its reserve beside it. */
export function reserveOf(database: string): string {
  return `${database}-reserve`
}

/** No reserve, for stores with few writes. */
export const noReserve: DiskReserve = { isWhole: true, release: () => false, close: () => undefined }

/**
 * A start writes a little (its log, its head, its process id), and reading a stopped cloud needs room for the index of its log. On a full
 * disk neither would be possible, and nobody could delete anything. So this releases half of the reserve.
 */
export function giveOutWhereFull(database: string): void {
  const path = reserveOf(database)
  try {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (size > 0 && freeBytes(dirname(database)) < MARGIN) truncateSync(path, Math.floor(size / 2))
  } catch {
    // If it is not enough, the write that fails will tell.
  }
}

/**
 * Opens or makes the file, mode 0600. It has random bytes, since a file system that compresses would reserve nothing for zeros. Where
 * there is no room for it, it is filled as soon as there is.
 */
export function openDiskReserve(path: string, folder: string): DiskReserve {
  const file = openSync(path, 'a', 0o600)
  let size = fstatSync(file).size
  let timer: NodeJS.Timeout | undefined
  let isWhole = size >= RESERVE_BYTES

  function refill(): void {
    try {
      if (freeBytes(folder) < RESERVE_BYTES - size + MARGIN) return
      const part = Buffer.allocUnsafe(PART)
      while (size < RESERVE_BYTES)
        size += writeSync(file, randomFillSync(part), 0, Math.min(PART, RESERVE_BYTES - size))
      isWhole = true
      clearInterval(timer)
      timer = undefined
    } catch {
      // Still full, or read-only, so the next round tries again.
    }
  }

  function watch(): void {
    isWhole = false
    timer ??= setInterval(refill, REFILL_MS).unref()
  }

  if (!isWhole) {
    watch()
    refill()
  }
  return {
    get isWhole() {
      return isWhole
    },
    release(last) {
      watch()
      if (size <= (last ? FOR_STARTS : RESERVE_BYTES / 2)) return false
      try {
        ftruncateSync(file, Math.max(0, size - PART))
        size = Math.max(0, size - PART)
        return true
      } catch {
        return false
      }
    },
    close() {
      clearInterval(timer)
      closeSync(file)
    },
  }
}

/** Whether a file of SQLite or of a start no longer fits beside the database. */
export function isFull(database: string): boolean {
  return freeBytes(dirname(database)) < FOR_STARTS
}

/** Free bytes that this user may use. */
function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

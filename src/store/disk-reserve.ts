import { randomFillSync } from 'node:crypto'
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Bytes of the disk that are kept back, and given out where it is full: to deletions, their audit records, and sign-ins. */
export interface DiskReserve {
  /** False from the first time that some of it was given out until it could be filled again. */
  readonly isWhole: boolean
  /** Gives a part of it back to the file system; false when nothing is left. `last`: also what is kept for deletions alone. */
  release(last: boolean): boolean
  close(): void
}

const RESERVE_BYTES = 8 * 1024 * 1024
/** What one release gives out. Others on the same disk may take it, so never all at once. */
const PART = 512 * 1024
/** That must be free beside the reserve before it counts as whole again: else the next commit would break it. */
const MARGIN = 2 * 1024 * 1024
const REFILL_MS = 1000

/** `records.db` has its reserve beside it. */
export function reserveOf(database: string): string {
  return `${database}-reserve`
}

/** A reserve that was never there: for stores that nobody writes much to. */
export const noReserve: DiskReserve = { isWhole: true, release: () => false, close: () => undefined }

/**
 * A start writes a little itself (its log, its head, who runs it), and a look at a stopped cloud needs room for the index of its log: on a
 * full disk neither could be done, and nobody could delete anything. Gives out half of what is there.
 */
export function giveOutWhereFull(database: string): void {
  const path = reserveOf(database)
  try {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (size > 0 && freeBytes(dirname(database)) < MARGIN) truncateSync(path, Math.floor(size / 2))
  } catch {
    // What then can't be written says so by itself.
  }
}

/**
 * Opens or makes the file, mode 0600, of random bytes: a file system that compresses would keep nothing for zeros. Where there is no
 * room for it, it is filled as soon as there is.
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
      // Full still, or read-only: the next round tries again.
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
      if (size <= (last ? 0 : RESERVE_BYTES / 2)) return false
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

/** That this user may use. */
function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

import { closeSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'

const walHeaderBytes = 32
const frameHeaderBytes = 24
const btreePageTypes = new Set([2, 5, 10, 13])
const pagesPerRead = 256

/**
 * With more pages, the first byte of an overflow page, which is part of a page number, could look like a b-tree page's type.
 * The database must be held below it (`PRAGMA max_page_count`) and have no auto_vacuum, whose map pages begin with such bytes too.
 */
export const maximumPages = 0x01ff_ffff

/**
 * Erases what `PRAGMA secure_delete` forgets: when SQLite moves rows between b-tree pages (rebuildPage in btree.c), copies of them may
 * stay in the unused middle of a page, and deleting the row later does not reach those (about 1 row in 10,000 here). SQLite never reads
 * the middle of a page, so zeros can be written there at any time by whoever holds the database alone: https://www.sqlite.org/fileformat2.html
 */
export interface Scrubber {
  /** Numbers of the pages that the write-ahead log will bring into the database at its next checkpoint. */
  pagesInLog(): Set<number>
  /** Zeros the unused middle of these or all pages, durable when it returns. Call it when the whole log is in the database. */
  scrub(pages?: Iterable<number>): void
  /** Makes the current length of the log durable. */
  syncLog(): void
  close(): void
}

/** Keeps the database file open until `close`, since closing it earlier would drop SQLite's POSIX locks in this process. */
export function openScrubber(path: string, pageSize: number): Scrubber {
  const file = openSync(path, 'r+')
  const buffer = Buffer.allocUnsafe(pageSize * pagesPerRead)
  const zeros = Buffer.alloc(pageSize)

  function scrubRun(first: number, count: number): boolean {
    const start = (first - 1) * pageSize
    const read = readSync(file, buffer, 0, count * pageSize, start)
    let wrote = false
    for (let at = 0; at + pageSize <= read; at += pageSize) {
      const [from, to] = slackOf(buffer.subarray(at, at + pageSize), start + at === 0)
      if (from === to || buffer.compare(zeros, 0, to - from, at + from, at + to) === 0) continue
      writeSync(file, zeros, 0, to - from, start + at + from)
      wrote = true
    }
    return wrote
  }

  return {
    pagesInLog: () => pagesInLog(`${path}-wal`, pageSize),
    scrub(pages) {
      const last = Math.floor(fstatSync(file).size / pageSize)
      if (last > maximumPages)
        throw new Error(`The database has ${last} pages; at most ${maximumPages} can be erased safely.`)
      let wrote = false
      if (pages) {
        // A power cut leaves holes in the end of a log, which read as page 0. That page does not exist.
        for (const page of pages) if (page > 0 && page <= last && scrubRun(page, 1)) wrote = true
      } else {
        for (let page = 1; page <= last; page += pagesPerRead) {
          if (scrubRun(page, Math.min(pagesPerRead, last - page + 1))) wrote = true
        }
      }
      if (wrote) fsyncSync(file)
    },
    syncLog() {
      const log = openSync(`${path}-wal`, 'r+')
      fsyncSync(log)
      closeSync(log)
    },
    close: () => closeSync(file),
  }
}

function pagesInLog(path: string, pageSize: number): Set<number> {
  const pages = new Set<number>()
  if (!existsSync(path)) return pages
  const log = readFileSync(path)
  // Frames of an earlier round of the log may be behind the current ones. Scrubbing their pages too does no harm.
  for (let at = walHeaderBytes; at + frameHeaderBytes <= log.length; at += frameHeaderBytes + pageSize) {
    pages.add(log.readUInt32BE(at))
  }
  return pages
}

/** The unused part of a b-tree page: from the end of its cell pointers to its first cell. Empty for other kinds of pages. */
function slackOf(page: Buffer, isFirstPage: boolean): [from: number, to: number] {
  const header = isFirstPage ? 100 : 0
  const type = page.readUInt8(header)
  if (!btreePageTypes.has(type)) return [0, 0]
  const headerBytes = type === 2 || type === 5 ? 12 : 8
  const from = header + headerBytes + 2 * page.readUInt16BE(header + 3)
  // 0 means 65,536 in the file format.
  const to = page.readUInt16BE(header + 5) || 65_536
  if (from > to || to > page.length)
    throw new Error('A page of the record database is damaged; restore it from a backup.')
  return [from, to]
}

import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** An earlier row of the table of records, with its MAC. */
export interface FormerRow {
  readonly collection: string
  readonly id: string
  readonly version: number
  readonly value: string
  readonly mac: Uint8Array
}

/**
 * Puts two pages above the tree of records, as somebody who can write the file but has no key would. A walk over all rows goes down the
 * former tree, but a search for this row leaves it just before and finds this one. SQLite accepts all of the pages
 * (https://www.sqlite.org/fileformat2.html). Nobody may have the database open.
 */
export function forgeTree(path: string, row: FormerRow): void {
  const root = rootOf(path)
  const file = readFileSync(path)
  const size = file.readUInt16BE(16) === 1 ? 65_536 : file.readUInt16BE(16)
  const pages: Buffer[] = [file]
  let last = file.length / size
  const append = (page: Buffer): number => {
    pages.push(page)
    return (last += 1)
  }
  const present = file.subarray((root - 1) * size, root * size)
  const former = append(Buffer.from(present))
  const before = encodeRow({ ...row, id: row.id.slice(0, -1), value: '', mac: Buffer.alloc(0) })
  const start = Buffer.concat([varint(before.length), before])
  const aside = append(pageOf(size, start))
  const old = Buffer.concat([uint32(aside), withOverflow(encodeRow(row), size, append)])
  const turn = append(pageOf(size, old, former))
  pageOf(size, Buffer.concat([uint32(former), start]), turn).copy(present)
  file.writeUInt32BE(last, 28)
  writeFileSync(path, Buffer.concat(pages))
}

/** A page of an index with one cell: a leaf, or with a child behind the cell. */
function pageOf(size: number, cell: Buffer, right?: number): Buffer {
  const page = Buffer.alloc(size)
  const at = size - cell.length
  page.writeUInt8(right === undefined ? 10 : 2, 0)
  page.writeUInt16BE(1, 3)
  page.writeUInt16BE(at, 5)
  if (right !== undefined) page.writeUInt32BE(right, 8)
  page.writeUInt16BE(at, right === undefined ? 8 : 12)
  cell.copy(page, at)
  return page
}

/** The part of a cell from its length on. The rest goes to overflow pages. */
function withOverflow(payload: Buffer, size: number, append: (page: Buffer) => number): Buffer {
  const local = localBytes(payload.length, size)
  let next = 0
  for (let end = payload.length; end > local;) {
    const start = Math.max(local, end - (((end - local - 1) % (size - 4)) + 1))
    const page = Buffer.alloc(size)
    page.writeUInt32BE(next)
    payload.copy(page, 4, start, end)
    next = append(page)
    end = start
  }
  return Buffer.concat([varint(payload.length), payload.subarray(0, local), ...(next === 0 ? [] : [uint32(next)])])
}

function rootOf(path: string): number {
  const database = new DatabaseSync(path)
  try {
    // The log has to be empty, so that the changed file is what is read.
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return Number(database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'records'").get()?.['rootpage'])
  } finally {
    database.close()
  }
}

function encodeRow({ collection, id, version, value, mac }: FormerRow): Buffer {
  const texts = [collection, id].map(text => Buffer.from(text))
  const columns = [...texts, uint32(version), Buffer.from(value), Buffer.from(mac)]
  const types = columns.map((bytes, index) => varint(typeOf(bytes.length, index)))
  const header = Buffer.concat(types)
  return Buffer.concat([varint(header.length + 1), header, ...columns])
}

/** Serial types: a text, a 32-bit number, a blob. */
function typeOf(length: number, column: number): number {
  if (column === 2) return 4
  return 2 * length + (column === 4 ? 12 : 13)
}

/** How much of a payload is in an index page itself. */
function localBytes(payload: number, size: number): number {
  const most = Math.floor(((size - 12) * 64) / 255) - 23
  const least = Math.floor(((size - 12) * 32) / 255) - 23
  if (payload <= most) return payload
  const local = least + ((payload - least) % (size - 4))
  return local <= most ? local : least
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function varint(value: number): Buffer {
  const bytes = [value & 0x7f]
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80)
  return Buffer.from(bytes)
}

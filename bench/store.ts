import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { systemEnv } from '../src/base/env.ts'
import { openAuditLog, type AuditLog } from '../src/store/audit-log.ts'
import { openDirectoryBlobs } from '../src/store/directory-blobs.ts'
import { collection, put, remove, type RecordStore } from '../src/store/records.ts'
import { openSqliteRecords } from '../src/store/sqlite-records.ts'
import type { Figure } from './figure.ts'

const rounds = 5
const commitsARound = 300
const readsARound = 40_000
const shreds = 100
const smallBlobs = 50
const mebibyte = 2 ** 20
const documents = collection<{ n: number; text: string }>('documents')
const text = 'x'.repeat(400)

/** Speed of the record store and the folder of blobs, compared with what they are built on, in one run and on one disk. */
export async function figures(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  try {
    return [...(await recordFigures(folder)), ...(await blobFigures(folder))]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function recordFigures(folder: string): Promise<Figure[]> {
  const records = await openSqliteRecords(join(folder, 'records.db'))
  const bare = openBare(join(folder, 'bare.db'))
  const log = await openAuditLog(records, systemEnv)
  const [alone, together, audited, bareCommits] = await sideBySide(
    async round => commitOneByOne(records, round),
    async round => commitTogether(records, round),
    async () => appendTogether(log),
    async round => {
      for (let n = 0; n < commitsARound; n++) bare.write(n, round)
    },
  )
  const [reads, bareReads] = await sideBySide(
    async () => {
      for (let n = 0; n < readsARound; n++) await records.get(documents, idOf(n % commitsARound))
    },
    async () => {
      for (let n = 0; n < readsARound; n++) bare.read(n % commitsARound)
    },
  )
  const shredding = await timed(async () => {
    for (let n = 0; n < shreds; n++) await records.commit([remove(documents, idOf(n))], { shred: true })
  })
  await records.close()
  bare.close()
  const oneByOne = 'bare node:sqlite, WAL, synchronous=FULL, one by one'
  return [
    compared('store: commits one by one', 'commits/s', commitsARound, alone, bareCommits, oneByOne),
    compared('store: 300 commits at once', 'commits/s', commitsARound, together, bareCommits, oneByOne),
    compared('store: 300 audit entries at once', 'entries/s', commitsARound, audited, bareCommits, oneByOne),
    compared('store: point reads', 'reads/s', readsARound, reads, bareReads, 'bare node:sqlite and JSON.parse'),
    { name: 'store: shredding commits one by one', value: shreds / shredding, unit: 'commits/s' },
  ]
}

async function commitOneByOne(records: RecordStore, round: number): Promise<void> {
  for (let n = 0; n < commitsARound; n++) await records.commit([put(documents, idOf(n), { n: round + n, text })])
}

async function commitTogether(records: RecordStore, round: number): Promise<void> {
  const changes = Array.from({ length: commitsARound }, (_, n) => put(documents, idOf(n), { n: -round - n, text }))
  await Promise.all(changes.map(async change => records.commit([change])))
}

async function appendTogether(log: AuditLog): Promise<void> {
  const entry = { operationName: 'KeyWrap', category: 'AuditEvent', resultType: 'Success' } as const
  await Promise.all(Array.from({ length: commitsARound }, async () => log.append(entry)))
}

/** The same table and durability without our code. The values change in every round, since SQLite does not write equal ones. */
function openBare(path: string) {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec('CREATE TABLE records (collection, id, version, value, PRIMARY KEY (collection, id)) WITHOUT ROWID')
  const insert = 'INSERT INTO records VALUES (?, ?, ?, ?)'
  const write = database.prepare(
    `${insert} ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value`,
  )
  const read = database.prepare('SELECT version, value FROM records WHERE collection = ? AND id = ?')
  return {
    write: (n: number, round: number) => write.run('documents', idOf(n), 1, JSON.stringify({ n: round + n, text })),
    read: (n: number): unknown => JSON.parse(String(read.get('documents', idOf(n))?.['value'])),
    close: () => database.close(),
  }
}

async function blobFigures(folder: string): Promise<Figure[]> {
  const blobs = await openDirectoryBlobs(join(folder, 'blobs'))
  const piece = systemEnv.randomBytes(mebibyte)
  async function* large() {
    for (let n = 0; n < 64; n++) yield piece
  }
  async function* small() {
    yield piece.subarray(0, 65_536)
  }
  const [one, plainOne] = await sideBySide(
    async round => blobs.create(`large-${round}`, large()),
    async round => writePlain(folder, `large-${round}`, large()),
  )
  const [many, plainMany] = await sideBySide(
    async round => {
      for (let n = 0; n < smallBlobs; n++) await blobs.create(`small-${round}-${n}`, small())
    },
    async round => {
      for (let n = 0; n < smallBlobs; n++) await writePlain(folder, `small-${round}-${n}`, small())
    },
  )
  const plain = 'plain file: write, fsync, fsync of the folder'
  return [
    compared('store: create a blob of 64 MiB', 'GB/s', (64 * mebibyte) / 1e9, one, plainOne, plain),
    compared('store: create blobs of 64 KiB', 'blobs/s', smallBlobs, many, plainMany, plain),
  ]
}

/** The cost of a durable file without a temporary name and a rename. */
async function writePlain(folder: string, name: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(join(folder, name), 'wx', 0o600)
  for await (const piece of source) await file.write(piece)
  await file.sync()
  await file.close()
  const names = await open(folder, 'r')
  await names.sync()
  await names.close()
}

/** Median seconds of each, in turns, so that a busy disk slows all of them. The first round of each warms up. */
async function sideBySide(...candidates: ((round: number) => Promise<unknown>)[]): Promise<number[]> {
  const seconds = candidates.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [index, candidate] of candidates.entries()) {
      const taken = await timed(async () => candidate(round))
      if (round > 0) seconds[index]?.push(taken)
    }
  }
  return seconds.map(taken => taken.sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN)
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await action()
  return (performance.now() - start) / 1000
}

function compared(
  name: string,
  unit: string,
  amount: number,
  seconds = Number.NaN,
  againstSeconds = Number.NaN,
  against: string,
): Figure {
  return { name, value: amount / seconds, unit, ratio: againstSeconds / seconds, against }
}

function idOf(n: number): string {
  return `document-${String(n).padStart(6, '0')}`
}

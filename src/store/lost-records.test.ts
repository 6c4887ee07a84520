import assert from 'node:assert/strict'
import { createHash, createSecretKey } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { recordAuthenticator } from './record-mac.ts'
import { collection, put, RecordsLost } from './records.ts'
import { openSqliteReader } from './sqlite-reader.ts'
import { openSqliteRecords, type SqliteOptions } from './sqlite-records.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
const authenticator = recordAuthenticator(createSecretKey(Buffer.alloc(32, 1)))
const files = collection<{ owner: string; filler: string }>('files')
let stores = 0

const pathIn = (of: string): string => join(of, 'records.db')
const open = (of: string, options: SqliteOptions = {}) => openSqliteRecords(pathIn(of), { authenticator, ...options })

/** What a killed process leaves: ten commits, of which the log holds those after the first. `older`: the folder after the first. */
async function killed(): Promise<{ left: string; older: string }> {
  stores += 1
  const [live, left, older] = ['live', 'left', 'older'].map(name => join(folder, `${stores}-${name}`)) as [
    string,
    string,
    string,
  ]
  for (const made of [live, left, older]) mkdirSync(made)
  const records = await open(live)
  for (let n = 0; n < 10; n++) {
    await records.commit([put(files, `f${n}`, { owner: 'a', filler: 'x'.repeat(5000) })])
    if (n === 0) cpSync(live, older, { recursive: true })
  }
  cpSync(live, left, { recursive: true })
  await records.close()
  return { left, older }
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)
  writeFileSync(path, bytes)
}

/** A digest of every file that must survive a refusal. An empty log is as good as none. */
function bytesOf(of: string): string[] {
  return ['records.db', 'records.db-wal', 'records.head'].map(name => {
    const bytes = existsSync(join(of, name)) ? readFileSync(join(of, name)) : Buffer.alloc(0)
    return `${name} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`
  })
}

test('a store opens whole after a killed process, and after a clean end', async () => {
  const { left } = await killed()
  for (let times = 0; times < 2; times++) {
    const records = await open(left)
    assert.equal(await records.count(files), 10)
    assert.equal((await records.verify()).changed, undefined)
    await records.close()
  }
})

const log = (of: string): string => join(of, 'records.db-wal')
const logBytes = (of: string): number => statSync(log(of)).size
const harms: [title: string, harm: (left: string, older: string) => void, says: RegExp][] = [
  ['log was not copied', left => rmSync(log(left)), /ends at change 0, but 10 were acknowledged.*not copied/u],
  ['log is empty', left => truncateSync(log(left)), /but 10 were acknowledged/u],
  [
    'log was cut between two pages',
    left => truncateSync(log(left), 32 + 4 * 4120),
    /but 10 were acknowledged.*was cut/u,
  ],
  ['log was cut within a page', left => truncateSync(log(left), logBytes(left) - 100), /damaged at byte \d+/u],
  [
    'log has one flipped bit in its middle',
    left => flip(log(left), Math.floor(logBytes(left) / 2)),
    /damaged at byte/u,
  ],
  [
    'log has one flipped bit in its last page',
    left => flip(log(left), logBytes(left) - 9),
    /but 10 were acknowledged/u,
  ],
  ['log has one flipped bit in its header', left => flip(log(left), 17), /damaged at byte 0/u],
  ['log is of before', (left, older) => copyFileSync(log(older), log(left)), /ends at change 1, but 10/u],
  ['database is empty', left => (truncateSync(pathIn(left)), rmSync(log(left))), /is empty.*held 10 changes/u],
  ['database is missing', left => rmSync(pathIn(left)), /is missing.*held 10 changes/u],
  [
    'database and log are of before',
    (left, older) => (copyFileSync(pathIn(older), pathIn(left)), copyFileSync(log(older), log(left))),
    /ends at change 1, but 10/u,
  ],
  ['head is missing', left => rmSync(join(left, 'records.head')), /records\.head is missing/u],
  ['head is damaged', left => writeFileSync(join(left, 'records.head'), 'x'), /records\.head is damaged/u],
]

for (const [title, harm, says] of harms) {
  test(`a store whose ${title} is refused, says what to do, and not a byte of it changes`, async () => {
    const { left, older } = await killed()
    harm(left, older)
    const before = bytesOf(left)
    await assert.rejects(open(left), ({ message, cause }: Error) => {
      assert.match(message, says)
      assert.match(message, /Put back records\.db.*--accept-changed-records/u)
      assert.ok(cause instanceof RecordsLost)
      return true
    })
    assert.deepEqual(bytesOf(left), before)
    if (existsSync(pathIn(left)) && statSync(pathIn(left)).size > 0 && !title.includes('header')) {
      const looking = await openSqliteReader(pathIn(left), { authenticator }).catch(() => undefined)
      if (looking !== undefined) {
        assert.ok((await looking.verify()).changed instanceof RecordsLost)
        await looking.close()
      }
      assert.deepEqual(bytesOf(left), before)
    }
  })
}

test('an operator who accepts the loss goes on from what is left, past every acknowledged state', async () => {
  const { left, older } = await killed()
  copyFileSync(pathIn(older), pathIn(left))
  copyFileSync(log(older), log(left))
  const accepted: Error[] = []
  const records = await open(left, { changed: 'accept', onAccepted: error => accepted.push(error) })
  assert.ok(accepted[0] instanceof RecordsLost)
  assert.equal(await records.count(files), 1)
  assert.equal((await records.head())?.counter, 11)
  await records.close()
  const next = await open(left)
  assert.equal(await next.count(files), 1)
  await next.close()
})

test('a log that ends in frames of a transaction that was never acknowledged opens, since a power cut leaves such', async () => {
  const { left } = await killed()
  // The head is from before the last commit, which was written but not yet synced.
  const head = readFileSync(join(left, 'records.head'), 'latin1')
  const older = head.slice(0, 512).startsWith('9 ') ? head.slice(0, 512) : head.slice(512)
  assert.match(older, /^9 /u)
  writeFileSync(join(left, 'records.head'), older.padEnd(1024), 'latin1')
  flip(log(left), logBytes(left) - 5000)
  const records = await open(left)
  assert.equal(await records.count(files), 9)
  await records.close()
})

test('a log with a hole in a transaction that was never acknowledged opens, since a power cut may leave only its end', async () => {
  const { left } = await killed()
  const frame = 24 + 4096
  const bytes = readFileSync(log(left))
  writeFileSync(log(left), Buffer.concat([bytes, Buffer.alloc(9 * frame), bytes.subarray(bytes.length - frame)]))
  const records = await open(left)
  assert.equal(await records.count(files), 10)
  await records.close()
})

test('a head in which a bit was flipped is passed over as well: it names a state that never was', async () => {
  const { left } = await killed()
  const head = readFileSync(join(left, 'records.head'), 'latin1')
  const newest = head.startsWith('10 ') ? 0 : 512
  const forged = `90${head.slice(newest + 2, newest + 512)}`
  writeFileSync(join(left, 'records.head'), head.slice(0, newest) + forged + head.slice(newest + 512), 'latin1')
  const records = await open(left)
  assert.equal(await records.count(files), 10)
  await records.close()
})

test('a database with as many changes as were acknowledged, and with other records, is refused and does not change', async () => {
  const [one, two] = [await killed(), await killed()].map(({ left }) => left) as [string, string]
  const other = await open(two)
  // The same count by another way.
  await other.commit([put(files, 'f0', { owner: 'b', filler: '' })])
  await other.close()
  const last = await open(one)
  await last.commit([put(files, 'f0', { owner: 'c', filler: '' })])
  await last.close()
  copyFileSync(pathIn(two), pathIn(one))
  const before = bytesOf(one)
  await assert.rejects(open(one), /stands at change 11 as records\.head does, but with other records/u)
  assert.deepEqual(bytesOf(one), before)
})

test('where a power cut tore the newer head, the one before it counts', async () => {
  const { left } = await killed()
  const head = readFileSync(join(left, 'records.head'), 'latin1')
  const newest = head.startsWith('10 ') ? 0 : 512
  writeFileSync(
    join(left, 'records.head'),
    head.slice(0, newest) + '#'.repeat(200) + head.slice(newest + 200),
    'latin1',
  )
  const records = await open(left)
  assert.equal(await records.count(files), 10)
  await records.close()
})

test('an older database beside the current log is refused and stays as it is', async () => {
  stores += 1
  const [live, left] = ['live', 'left'].map(name => join(folder, `${stores}-${name}`)) as [string, string]
  for (const made of [live, left]) mkdirSync(made)
  const filled = (n: number) => put(files, `f${n}`, { owner: 'a', filler: 'x'.repeat(5000) })
  const first = await open(live)
  for (let n = 0; n < 5; n++) await first.commit([filled(n)])
  await first.close()
  copyFileSync(pathIn(live), join(folder, `${stores}-older`))
  const second = await open(live)
  for (let n = 5; n < 10; n++) await second.commit([filled(n)], { shred: true })
  await second.commit([put(files, 'last', { owner: 'a', filler: 'acknowledged' })])
  cpSync(live, left, { recursive: true })
  await second.close()
  const right = readFileSync(pathIn(left))
  copyFileSync(join(folder, `${stores}-older`), pathIn(left))
  const before = bytesOf(left)
  await assert.rejects(open(left))
  assert.deepEqual(bytesOf(left), before)
  writeFileSync(pathIn(left), right)
  const records = await open(left)
  assert.equal((await records.get(files, 'last'))?.value.filler, 'acknowledged')
  await records.close()
})

test('reading a database from before head files does not make one; opening it does', async () => {
  const { left } = await killed()
  await (await open(left)).close()
  const database = new DatabaseSync(pathIn(left))
  database.exec('PRAGMA user_version = 2')
  database.close()
  rmSync(join(left, 'records.head'))
  await assert.rejects(openSqliteReader(pathIn(left), { authenticator }), /an older OwnKey wrote it/u)
  assert.equal(existsSync(join(left, 'records.head')), false)
  const records = await open(left)
  assert.equal(await records.count(files), 10)
  assert.equal(existsSync(join(left, 'records.head')), true)
  await records.close()
})

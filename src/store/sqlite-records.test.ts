import assert from 'node:assert/strict'
import { createHash, createSecretKey, randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { recordAuthenticator } from './record-mac.ts'
import { pairsConform } from './pair-conformance.ts'
import { recordStoreConforms } from './record-store-conformance.ts'
import { collection, put, remove, type Change } from './records.ts'
import { openSqliteRecords } from './sqlite-records.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
const secrets = collection<{ secret: string; rest: string }>('secrets')
let stores = 0

function newPath(): string {
  stores += 1
  return join(folder, `${stores}.db`)
}

/** Every byte of the store. It reads copies, since closing the files themselves would drop SQLite's locks. */
function bytesOf(path: string): string {
  return [path, `${path}-wal`, `${path}-journal`, `${path}-shm`]
    .filter(file => existsSync(file))
    .map(file => {
      copyFileSync(file, `${path}.copy`)
      return readFileSync(`${path}.copy`, 'latin1')
    })
    .join('')
}

recordStoreConforms('SQLite', async () => openSqliteRecords(newPath()))
pairsConform('SQLite', async () => openSqliteRecords(newPath()))
recordStoreConforms('SQLite with MACs', async () =>
  openSqliteRecords(newPath(), { authenticator: recordAuthenticator(createSecretKey(randomBytes(32))) }),
)

test('records are still there after the store is closed and opened', async () => {
  const path = newPath()
  const first = await openSqliteRecords(path)
  const unfinished = first.commit([put(secrets, 'a', { secret: 's', rest: '' })])
  await first.close()
  await unfinished
  const second = await openSqliteRecords(path)
  assert.equal((await second.get(secrets, 'a'))?.version, 1)
  await second.close()
})

test('only their owner can read database and log, also where they were open to others', async () => {
  const path = newPath()
  writeFileSync(path, '')
  chmodSync(path, 0o666)
  const records = await openSqliteRecords(path)
  await records.commit([put(secrets, 'a', { secret: 's', rest: '' })])
  for (const file of [path, `${path}-wal`]) assert.equal(statSync(file).mode & 0o777, 0o600)
  await records.close()
})

test('a commit with shred leaves no old byte of what it removed or overwrote, in the database or its log', async () => {
  const path = newPath()
  const records = await openSqliteRecords(path)
  const [removed, overwritten, kept] = ['removed', 'overwritten', 'kept'].map(
    name => `${name}-${randomBytes(16).toString('hex')}`,
  )
  assert.ok(removed && overwritten && kept)
  await records.commit([
    put(secrets, 'a', { secret: removed, rest: removed.repeat(500) }),
    put(secrets, 'b', { secret: overwritten, rest: '' }),
    put(secrets, 'c', { secret: kept, rest: '' }),
  ])
  assert.ok(bytesOf(path).includes(removed) && bytesOf(path).includes(overwritten))
  await records.commit([remove(secrets, 'a'), put(secrets, 'b', { secret: 'new', rest: '' })], { shred: true })
  assert.ok(!bytesOf(path).includes(removed) && !bytesOf(path).includes(overwritten))
  assert.ok(bytesOf(path).includes(kept))
  await records.close()
})

/** The same numbers each time: where SQLite leaves copies depends on each of them. */
function numbersFrom(seed: string): { share: () => number; hex: (bytes: number) => string } {
  let taken = 0
  const digest = (): Buffer => createHash('sha256').update(`${seed} ${taken++}`).digest()
  return {
    share: () => digest().readUInt32BE(0) / 2 ** 32,
    hex: bytes => digest().toString('hex', 0, bytes),
  }
}

test('shred also reaches the copies that SQLite leaves when it moves rows between pages', async () => {
  const path = newPath()
  const records = await openSqliteRecords(path)
  const live = new Map<string, string>()
  const numbers = numbersFrom('1')
  for (let round = 0; round < 60; round++) {
    const changes: Change[] = []
    for (let n = 0; n < 100; n++) {
      const kind = numbers.share()
      const ids = [...live.keys()]
      const id = kind < 0.4 || ids.length === 0 ? numbers.hex(8) : (ids[Math.floor(numbers.share() * ids.length)] ?? '')
      if (kind < 0.6 || !live.has(id)) {
        live.set(id, numbers.hex(16))
        changes.push(put(secrets, id, { secret: live.get(id) ?? '', rest: 'x'.repeat(numbers.share() * 1000) }))
      } else {
        live.delete(id)
        changes.push(remove(secrets, id))
      }
    }
    await records.commit(changes, { shred: round % 5 === 0 })
  }
  await records.commit([], { shred: true })
  // Not even of what is still there: a later removal would not reach a copy of it in the middle of a page.
  const present = bytesOf(path).match(/[0-9a-f]{32}/gu) ?? []
  assert.deepEqual(present.toSorted(), [...live.values()].toSorted())
  assert.equal(await records.count(secrets), live.size)
  await records.close()
  const database = new DatabaseSync(path)
  assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' })
  database.close()
})

test('the log is written over before it grows without bound', async () => {
  const path = newPath()
  const records = await openSqliteRecords(path)
  for (let n = 0; n < 12; n++) await records.commit([put(secrets, `${n}`, { secret: '', rest: 'x'.repeat(1_000_000) })])
  assert.ok(statSync(`${path}-wal`).size < 6_000_000)
  await records.close()
})

test('a second opener is refused as long as the first has the database', async () => {
  const path = newPath()
  const first = await openSqliteRecords(path)
  await assert.rejects(openSqliteRecords(path), /another process is using it/u)
  await first.close()
  await (await openSqliteRecords(path)).close()
})

test('a database of a newer schema or another program, or another file, is refused and left as it is', async () => {
  const newer = newPath()
  await (await openSqliteRecords(newer)).close()
  const database = new DatabaseSync(newer)
  database.exec('PRAGMA user_version = 4')
  database.close()
  await assert.rejects(openSqliteRecords(newer), /newer OwnKey \(schema 4, this one knows 3\)/u)
  const foreign = newPath()
  const other = new DatabaseSync(foreign)
  other.exec('CREATE TABLE notes (text)')
  other.close()
  const before = readFileSync(foreign)
  await assert.rejects(openSqliteRecords(foreign), /another program's database/u)
  assert.deepEqual(readFileSync(foreign), before)
  const text = newPath()
  writeFileSync(text, 'This is not a database, but a text that someone keeps here. '.repeat(100))
  await assert.rejects(openSqliteRecords(text), /not a database.*Restore it/u)
})

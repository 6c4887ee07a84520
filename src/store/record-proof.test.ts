import assert from 'node:assert/strict'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openAuditLog } from './audit-log.ts'
import { openMemoryRecords } from './memory-records.ts'
import { recordAuthenticator } from './record-mac.ts'
import { collection, put, remove, type RecordStore } from './records.ts'
import { openSqliteReader } from './sqlite-reader.ts'
import { openSqliteRecords, type SqliteOptions } from './sqlite-records.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
const roles = collection<{ role: string; filler?: string }>('roles')
const files = collection<{ owner: string }>('files')
const rootKey = createSecretKey(randomBytes(32))
const auditMac = (message: Buffer) => createHmac('sha256', 'audit').update(message).digest()
const authenticator = recordAuthenticator(rootKey, auditMac)
let stores = 0

const open = (path: string, options: SqliteOptions = {}) => openSqliteRecords(path, { authenticator, ...options })

/** A closed store with two files and two roles, of which one was changed and another removed. `before` is a copy from before that. */
async function written(): Promise<{ path: string; before: string }> {
  stores += 1
  const [path, before] = [join(folder, `${stores}.db`), join(folder, `${stores}.before.db`)]
  const records = await open(path)
  await records.commit([put(files, 'f1', { owner: 'victim' }), put(files, 'f2', { owner: 'thief' })])
  await records.commit([put(roles, 'r1', { role: 'Owner' }), put(roles, 'r2', { role: 'Reader' })])
  await records.commit([put(roles, 'r3', { role: 'Owner' })])
  await records.close()
  copyFileSync(path, before)
  const again = await open(path)
  await again.commit([put(roles, 'r1', { role: 'Reader' }), remove(roles, 'r3')])
  await again.close()
  return { path, before }
}

/** Changes by somebody who can write the database but has no key. `before` is attached as `old`. */
function write(path: string, before: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(`ATTACH '${before}' AS old; ${sql}`)
  database.close()
}

const edits: [title: string, sql: string][] = [
  ['value', `UPDATE records SET value = '{"owner":"thief"}' WHERE id = 'f1'`],
  ['value of another record', `UPDATE records SET value = (SELECT value FROM records WHERE id = 'f2') WHERE id = 'f1'`],
  ['version', `UPDATE records SET version = 7 WHERE id = 'f1'`],
]

for (const [title, sql] of edits) {
  test(`a record whose ${title} was changed is refused by get and by list, named by verify, and hurts no other record`, async () => {
    const { path, before } = await written()
    write(path, before, sql)
    const told: string[] = []
    const records = await open(path, { onTampered: (from, id) => told.push(`${from}/${id}`) })
    await assert.rejects(records.get(files, 'f1'), {
      code: 'RecordTampered',
      status: 500,
      collection: 'files',
      id: 'f1',
    })
    await assert.rejects(records.list(files, { limit: 1000 }), { code: 'RecordTampered' })
    const left: string[] = []
    const others = await records.list(files, { onTampered: id => left.push(id), limit: 1 })
    // A page that is not full would look like the last one.
    assert.deepEqual([others.map(({ id }) => id), left], [['f2'], ['f1']])
    assert.equal((await records.get(files, 'f2'))?.value.owner, 'thief')
    assert.deepEqual((await records.verify()).tampered, [{ collection: 'files', id: 'f1' }])
    assert.deepEqual([...new Set(told)], ['files/f1'])
    // Writing it anew or deleting it repairs it.
    await records.commit([put(files, 'f1', { owner: 'victim' })])
    assert.equal((await records.get(files, 'f1'))?.value.owner, 'victim')
    const { tampered, changed } = await records.verify()
    assert.deepEqual({ tampered, changed }, { tampered: [], changed: undefined })
    await records.close()
  })
}

test('a MAC is of one record: neither another version, nor another id, nor another collection passes with it', async () => {
  const tag = authenticator.macOf('files', 'f1', 1, '{}')
  assert.ok(authenticator.isGenuine(tag, 'files', 'f1', 1, '{}'))
  for (const [from, id, version, json] of [
    ['file', 'sf1', 1, '{}'],
    ['files', 'f2', 1, '{}'],
    ['files', 'f1', 2, '{}'],
    ['files', 'f1', 1, '{ }'],
  ] as const)
    assert.ok(!authenticator.isGenuine(tag, from, id, version, json))
  assert.ok(!authenticator.isGenuine(new Uint8Array(0), 'files', 'f1', 1, '{}'))
  assert.ok(!recordAuthenticator(createSecretKey(randomBytes(32))).isGenuine(tag, 'files', 'f1', 1, '{}'))
})

const changes: [title: string, sql: string, where: string][] = [
  [
    'an older record was put back, with its good MAC',
    `INSERT OR REPLACE INTO records SELECT * FROM old.records WHERE id = 'r1'`,
    ', in roles',
  ],
  ['a removed record was put back', `INSERT INTO records SELECT * FROM old.records WHERE id = 'r3'`, ', in roles'],
  ['a record was taken away', `DELETE FROM records WHERE id = 'f1'`, ', in files'],
  [
    'a version was changed and its MAC taken from an older one',
    `UPDATE records SET mac = (SELECT mac FROM old.records WHERE id = 'r1') WHERE id = 'r1'`,
    ', in roles',
  ],
  ['a MAC was changed', `UPDATE records SET mac = x'00' WHERE id = 'f1'`, ', in files'],
  [
    'a record without a MAC was added',
    `INSERT INTO records (collection, id, version, value) VALUES ('roles', 'r9', 1, '{}')`,
    ', in roles',
  ],
  [
    'one collection with its head is an older one',
    `DELETE FROM records WHERE collection = 'roles'; INSERT INTO records SELECT * FROM old.records WHERE collection = 'roles';
     INSERT OR REPLACE INTO heads SELECT * FROM old.heads WHERE collection = 'roles'`,
    ', in roles',
  ],
  [
    'the records are newer than their heads',
    `DELETE FROM heads; INSERT INTO heads SELECT * FROM old.heads`,
    ', in roles',
  ],
  ['the counter was moved on', `UPDATE heads SET counter = counter + 5`, ', in files, roles'],
  ['the heads were taken away', 'DELETE FROM heads', ''],
  [
    'only the head over everything is left',
    "DELETE FROM records WHERE id = 'f1'; DELETE FROM heads WHERE collection <> ''",
    '',
  ],
  ['all of it was taken away but the heads', 'DELETE FROM records', ', in files, roles'],
]

for (const [title, sql, where] of changes) {
  test(`a store in which ${title} does not open, says where, and is not written`, async () => {
    const { path, before } = await written()
    write(path, before, sql)
    await assert.rejects(open(path), ({ message }: Error) => {
      // Where the heads themselves are old, the head beside the database shows it first.
      if (title.includes('newer than their heads')) assert.match(message, /but \d+ were acknowledged/u)
      else assert.ok(message.includes(`changed outside this service${where}: `), message)
      return true
    })
    const reading = await openSqliteReader(path, { authenticator })
    assert.ok((await reading.verify()).changed)
    assert.equal(await reading.head(), undefined)
    await assert.rejects(reading.commit([put(files, 'f3', { owner: 'a' })]), /changed outside|were acknowledged/u)
    await reading.close()
    await assert.rejects(open(path), /changed outside|were acknowledged/u)
  })
}

test('tables or triggers that the service did not make are refused', async () => {
  for (const sql of [
    `CREATE TRIGGER t AFTER UPDATE ON main.records BEGIN DELETE FROM records WHERE collection = 'roles'; END`,
    'CREATE INDEX main.i ON records (version)',
    `ALTER TABLE main.records RENAME TO kept; CREATE VIEW main.records AS SELECT * FROM kept WHERE id <> 'r1'`,
    // Without the primary key a record could be there twice, and cancel itself out.
    `CREATE TABLE main.copy AS SELECT * FROM main.records; DROP TABLE main.records; ALTER TABLE main.copy RENAME TO records`,
  ]) {
    const { path, before } = await written()
    write(path, before, sql)
    await assert.rejects(open(path), /tables are not those that OwnKey made/u)
  }
})

test('the state that an operator accepts is the new one from then on', async () => {
  const { path, before } = await written()
  write(path, before, `DELETE FROM records WHERE id = 'f1'`)
  const accepted: (readonly string[])[] = []
  const records = await open(path, { changed: 'accept', onAccepted: ({ collections }) => accepted.push(collections) })
  assert.deepEqual(accepted, [['files']])
  await records.commit([put(files, 'f3', { owner: 'a' })])
  await records.close()
  const again = await open(path, { changed: 'accept', onAccepted: () => assert.fail('twice') })
  assert.equal((await again.verify()).changed, undefined)
  await again.close()
})

test('the counter never goes back, and stays where nothing was written', async () => {
  const { path } = await written()
  const records = await open(path)
  const counters = [(await records.head())?.counter]
  await records.commit([put(files, 'f1', { owner: 'a' })])
  counters.push((await records.head())?.counter)
  await assert.rejects(records.commit([put(files, 'f1', { owner: 'b' }, 9)]))
  await records.commit([])
  counters.push((await records.head())?.counter)
  await records.commit([remove(files, 'f1')])
  counters.push((await records.head())?.counter)
  assert.deepEqual(counters, [4, 5, 5, 6])
  await records.close()
})

test('the twin in memory has the head of a database with the same commits', async () => {
  const stores: RecordStore[] = [await open(join(folder, 'twin.db')), openMemoryRecords(authenticator)]
  const heads = []
  for (const records of stores) {
    await records.commit([
      put(files, 'f1', { owner: 'a' }),
      put(files, 'f1', { owner: 'b' }),
      put(roles, 'r', { role: '' }),
    ])
    await records.commit([remove(roles, 'r'), put(files, 'f2', { owner: 'a' })])
    await records.commit([put(files, 'f2', { owner: 'c' }), remove(files, 'f2'), put(files, 'f2', { owner: 'd' })])
    heads.push(await records.head())
    const { records: count, changed } = await records.verify()
    assert.deepEqual({ count, changed }, { count: 2, changed: undefined })
    await records.close()
  }
  assert.deepEqual(heads[0], heads[1])
  assert.equal(heads[0]?.counter, 3)
})

/** The same records as schema 1 had them. */
async function ofSchema1(auditHeadVersion: 1 | 2): Promise<string> {
  const { path } = await written()
  const records = await open(path)
  const log = await openAuditLog(records, systemEnv, { mac: auditMac })
  await log.append({ operationName: 'KeyWrap', category: 'AuditEvent', resultType: 'Success' })
  const verdict = await log.verify()
  assert.ok(verdict.ok)
  await records.close()
  const { entries, head } = verdict
  const message = Buffer.from(`OwnKey audit head, version ${auditHeadVersion}\n${entries}\n${head}\n`)
  const value = JSON.stringify({ entries, head, mac: auditMac(message).toString('hex') })
  const database = new DatabaseSync(path)
  database.exec(`ALTER TABLE records RENAME TO others; DROP TABLE heads; PRAGMA user_version = 1;
    CREATE TABLE "records" ("collection" text not null, "id" text not null, "version" integer not null, "value" text not null,
      constraint "records_key" primary key ("collection", "id")) strict, without rowid;
    INSERT INTO records SELECT collection, id, version, value FROM others; DROP TABLE others`)
  database.prepare(`UPDATE records SET value = ? WHERE collection = 'audit-head'`).run(value)
  database.close()
  return path
}

test('a database from before there were MACs gets them once, when it is opened, and loses nothing', async () => {
  const path = await ofSchema1(1)
  const records = await open(path)
  assert.equal((await records.get(roles, 'r1'))?.version, 2)
  const log = await openAuditLog(records, systemEnv, { mac: auditMac, isNew: false })
  await log.append({ operationName: 'KeyWrap', category: 'AuditEvent', resultType: 'Success' })
  assert.equal((await log.verify()).ok, true)
  const { tampered, changed } = await records.verify()
  assert.deepEqual({ tampered, changed }, { tampered: [], changed: undefined })
  await records.close()
  await (await open(path)).close()
})

test('a database whose MACs were taken away does not pass for one from before there were any', async () => {
  await assert.rejects(open(await ofSchema1(2)), /their MACs were taken away/u)
  const headless = await ofSchema1(1)
  const database = new DatabaseSync(headless)
  database.exec(`DELETE FROM records WHERE collection LIKE 'audit%'`)
  database.close()
  await assert.rejects(open(headless), /their MACs were taken away, or the head of the audit log/u)
  // Without the key they are not added.
  await assert.rejects(openSqliteRecords(await ofSchema1(1)), /carry no MACs yet/u)
})

test('without the key a database is read and not written', async () => {
  const { path } = await written()
  const records = await openSqliteRecords(path)
  assert.equal((await records.get(files, 'f1'))?.value.owner, 'victim')
  await assert.rejects(records.commit([put(files, 'f1', { owner: 'a' })]), /without their key nothing is written/u)
  await records.close()
  await (await open(path)).close()
  await assert.rejects(
    openSqliteRecords(path, { authenticator: recordAuthenticator(createSecretKey(randomBytes(32))) }),
    /the root key is not the one/u,
  )
})

test('a changed audit entry is named by the verification of the log, and the others can be read', async () => {
  const path = join(folder, 'audited.db')
  const records = await open(path)
  const log = await openAuditLog(records, systemEnv, { mac: auditMac })
  for (let n = 0; n < 5; n++)
    await log.append({ operationName: `Operation${n}`, category: 'AuditEvent', resultType: 'Success' })
  await records.close()
  const database = new DatabaseSync(path)
  database.exec(
    `UPDATE records SET value = replace(value, 'Operation2', 'Operation9') WHERE collection = 'audit-entries'`,
  )
  database.close()
  const again = await open(path)
  const tampered = await openAuditLog(again, systemEnv, { mac: auditMac, isNew: false })
  assert.deepEqual(
    (await tampered.list()).map(({ sequence }) => sequence),
    [1, 2, 4, 5],
  )
  assert.deepEqual(await tampered.verify(), { ok: false, at: 3, reason: 'the entry was changed or moved' })
  await again.close()
})

test('a check of many records yields, and records that are written meanwhile do not count as changed outside', async () => {
  const records = await open(join(folder, 'many.db'))
  const id = (n: number): string => `f${String(n).padStart(6, '0')}`
  const many = 20_000
  for (let from = 0; from < many; from += 2000)
    await records.commit(Array.from({ length: 2000 }, (_, n) => put(files, id(from + n), { owner: 'somebody' })))
  let isOver = false
  let turns = 0
  const commits: Promise<unknown>[] = []
  const verifying = records.verify().finally(() => (isOver = true))
  // oxlint-disable-next-line no-unmodified-loop-condition -- changed when the promise settles
  while (!isOver) {
    turns += 1
    const [low, high] = [id(turns), id(many - turns)]
    // Without waits for the disk, since otherwise the check would end before it has yielded often.
    commits.push(
      records.commit([
        put(files, low, { owner: `the ${turns}th` }),
        remove(files, high),
        put(files, `${low}-new`, { owner: 'new' }),
        put(roles, 'r1', { role: String(turns) }),
      ]),
      records.commit([put(files, low, { owner: 'never' }, 77)]).catch(() => undefined),
    )
    await new Promise(resolve => setImmediate(resolve))
  }
  await Promise.all(commits)
  const { changed, tampered } = await verifying
  assert.deepEqual([changed, tampered], [undefined, []])
  assert.ok(turns > 10, `${turns} turns`)
  assert.equal((await records.verify()).changed, undefined)
  await records.close()
})

test('the verification of a long audit log yields', async () => {
  const records = openMemoryRecords()
  const log = await openAuditLog(records, systemEnv, { mac: auditMac })
  const entry = { operationName: 'test', category: 'AuditEvent', resultType: 'Success' } as const
  for (let n = 0; n < 10; n += 1) await Promise.all(Array.from({ length: 500 }, () => log.append(entry)))
  let turns = 0
  const ticking = setInterval(() => (turns += 1), 1)
  assert.equal((await log.verify()).ok, true)
  clearInterval(ticking)
  assert.ok(turns >= 3, `${turns} turns`)
})

test('a list that leaves out changed records finds those behind them, however many were changed', async () => {
  const path = join(folder, 'all-changed.db')
  const records = await open(path)
  const many = 20_000
  for (let from = 0; from < many; from += 2000)
    await records.commit(
      Array.from({ length: 2000 }, (_, n) => put(files, `f${String(from + n).padStart(6, '0')}`, { owner: 'a' })),
    )
  await records.commit([put(files, 'a', { owner: 'a' }), put(files, 'g', { owner: 'b' })])
  await records.close()
  const database = new DatabaseSync(path)
  database.exec(`UPDATE records SET value = '{"owner":"thief"}' WHERE id LIKE 'f%'`)
  database.close()
  const again = await open(path)
  for (const limit of [1, 100]) {
    let leftOut = 0
    const onTampered = (): void => void (leftOut += 1)
    const found = await again.list(files, { limit, after: 'a', onTampered })
    assert.deepEqual([found.map(({ id }) => id), leftOut], [['g'], many])
  }
  await again.close()
})

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createHash, randomUUID } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  existsSync,
  renameSync,
  symlinkSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { NOBODY, notRoot, say } from '../cli/command-line.fixture.ts'
import { Azure, pause } from '../support/azure.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const FILES = 12
let folder: string
/** A cloud with files whose process was killed, so that its log has the only copy of some commits. */
let killed: string
let older: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ownkey-broken-'))
  ;[killed, older] = [join(folder, 'killed'), join(folder, 'older')]
  const cloud = await startCloudProcess(killed)
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('broken')
  for (let n = 0; n < FILES; n++) {
    await account.upload(`file ${n}`)
    if (n === 2) copy(killed, older)
  }
  await cloud.kill()
})
after(() => rm(folder, { recursive: true, force: true }))

/** With all modes, as a backup does it. */
const copy = (from: string, to: string): void => void execFileSync('cp', ['-a', from, to])

const pathOf = (of: string, id: string): string => join(of, 'blobs', id.slice(0, 2), id)
const blobsIn = (of: string): string[] =>
  readdirSync(join(of, 'blobs'), { recursive: true, encoding: 'utf8' })
    .filter(name => statSync(join(of, 'blobs', name)).isFile())
    .map(name => name.split('/').at(-1) ?? '')
    .toSorted()
const dayAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)

/** Everything in the folder except the marks of the process that has it. */
function stateOf(of: string): string[] {
  return readdirSync(of, { recursive: true, encoding: 'utf8' })
    .filter(name => !/^(?:lock|lock\.pid|service\.log|endpoints\.json)$|^blobs(?:\/incoming)?$/u.test(name))
    .map(name => {
      const path = join(of, name)
      return statSync(path).isFile() ? `${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}` : name
    })
    .filter(line => !line.startsWith('records.db-wal e3b0c4'))
    .toSorted()
}

const flip = (path: string, share: number): void => {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * share)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)
  writeFileSync(path, bytes)
}
const remove = (of: string, ...names: string[]): void => {
  for (const name of names) rmSync(join(of, name), { recursive: true, force: true })
}

/** With the log brought in, so that the file is the whole database. */
const sql = (of: string, text: string): void => {
  const database = new DatabaseSync(join(of, 'records.db'))
  database.exec(text)
  database.close()
}

const refused: [title: string, harm: (of: string) => void, says: RegExp][] = [
  [
    'records.db and its log are deleted',
    of => remove(of, 'records.db', 'records.db-wal'),
    /records\.db is missing, though there is root\.key, records\.head, a CA, 12 blobs/u,
  ],
  [
    'records.db is empty',
    of => (truncateSync(join(of, 'records.db')), remove(of, 'records.db-wal')),
    /records\.db is empty, though there is root\.key/u,
  ],
  [
    'records.db and everything else but the blobs are gone',
    of => remove(of, 'records.db', 'records.db-wal', 'records.head', 'root.key', 'ca'),
    /records\.db is missing, though there is 12 blobs/u,
  ],
  [
    'a restore was broken off before its first blob',
    of => {
      for (const name of readdirSync(of)) remove(of, name)
      for (const name of ['blobs', 'restoring', 'ca']) mkdirSync(join(of, name), { mode: 0o700 })
    },
    /a backup was being restored.*Empty the folder.*restore it again/u,
  ],
  [
    'the log was not copied',
    of => remove(of, 'records.db-wal'),
    /were acknowledged: its log records\.db-wal was not copied/u,
  ],
  [
    'the log was cut',
    of => truncateSync(join(of, 'records.db-wal'), 32 + 4120 * 7),
    /were acknowledged: its log records\.db-wal was cut/u,
  ],
  [
    'the log has one flipped bit',
    of => flip(join(of, 'records.db-wal'), 0.35),
    /were acknowledged: its log records\.db-wal is damaged at byte \d+/u,
  ],
  [
    'records.db and its log are of before',
    of => (
      cpSync(join(older, 'records.db'), join(of, 'records.db')),
      cpSync(join(older, 'records.db-wal'), join(of, 'records.db-wal'))
    ),
    /ends at change \d+, but \d+ were acknowledged/u,
  ],
  [
    'records.db is another file',
    of => (remove(of, 'records.db-wal'), writeFileSync(join(of, 'records.db'), 'not a database at all\n'.repeat(99))),
    /not a database\. Restore it from a backup/u,
  ],
  [
    'records.db is a folder',
    of => (remove(of, 'records.db', 'records.db-wal'), mkdirSync(join(of, 'records.db'), 0o700)),
    /records\.db is a folder where a file must be/u,
  ],
  [
    'records.db is a link',
    of => (
      renameSync(join(of, 'records.db'), join(of, 'elsewhere.db')),
      symlinkSync('elsewhere.db', join(of, 'records.db'))
    ),
    /records\.db is a link: its log and its head must lie beside it\. Put the file itself here/u,
  ],
  ['records.head is deleted', of => remove(of, 'records.head'), /records\.head is missing/u],
  [
    'records.head is damaged',
    of => writeFileSync(join(of, 'records.head'), '\0'.repeat(1024)),
    /records\.head is damaged/u,
  ],
  [
    'root.key is deleted',
    of => remove(of, 'root.key'),
    /root\.key is missing: restore it from its backup, or set OWNKEY_ROOT_KEY/u,
  ],
  ['root.key is empty', of => writeFileSync(join(of, 'root.key'), ''), /root\.key does not hold 32 bytes of base64/u],
  [
    'root.key is another one',
    of => writeFileSync(join(of, 'root.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`),
    /the root key is not the one with which these records were written/u,
  ],
  [
    'root.key is a folder',
    of => (remove(of, 'root.key'), mkdirSync(join(of, 'root.key'), 0o700)),
    /root\.key is a folder where a file must be/u,
  ],
  ['the key of the CA is deleted', of => remove(of, 'ca/ca-key.pem'), /ca-key\.pem is missing or empty\..*--new-ca/u],
  ['the certificate of the CA is deleted', of => remove(of, 'ca/ca.pem'), /ca\.pem is missing or empty\..*--new-ca/u],
  ['the key of the CA is damaged', of => writeFileSync(join(of, 'ca/ca-key.pem'), 'x'), /ca-key\.pem is damaged/u],
  ['the whole CA is deleted', of => remove(of, 'ca'), /ca\.pem is missing or empty/u],
  [
    'a file is in the place of ca',
    of => (remove(of, 'ca'), writeFileSync(join(of, 'ca'), '', { mode: 0o600 })),
    /ca is a file where a folder must be/u,
  ],
  [
    'the blobs are not there: a disk that is not mounted',
    of => (remove(of, 'blobs'), mkdirSync(join(of, 'blobs'), 0o700)),
    /12 of the 12 blobs that records name are not in .*is its disk mounted/u,
  ],
  [
    'a file is in the place of blobs',
    of => (remove(of, 'blobs'), writeFileSync(join(of, 'blobs'), '', { mode: 0o600 })),
    /blobs is a file where a folder must be/u,
  ],
  ['a folder is in the place of the lock', of => (remove(of, 'lock'), mkdirSync(join(of, 'lock'), 0o700)), /lock/u],
  [
    'the record of the administrator is damaged',
    of => sql(of, "UPDATE records SET value = value || ' ' WHERE collection = 'entra.administrator'"),
    /The record entra\.administrator\/administrator was changed outside this service, and no cloud starts without it/u,
  ],
  [
    'the record of the administrator is deleted',
    of => sql(of, "DELETE FROM records WHERE collection = 'entra.administrator'"),
    /changed outside this service/u,
  ],
  [
    'the record of the administrating person is damaged',
    of => sql(of, "UPDATE records SET value = value || ' ' WHERE collection = 'entra.administrator-user'"),
    /The record entra\.administrator-user\/administrator was changed outside this service, and no cloud starts without it/u,
  ],
]

for (const [title, harm, says] of refused) {
  test(`a start is refused where ${title}: one sentence says what and what to do; not a byte changes`, async () => {
    const of = join(folder, title.replaceAll(/\W+/gu, '-'))
    copy(killed, of)
    harm(of)
    const before = stateOf(of)
    const { code, output, errors } = await ownkey('start', '--data-dir', of, '--port', '0')
    assert.equal(code, 1, output)
    const message = errors.replaceAll(/\s+/gu, ' ')
    assert.match(message, says)
    assert.match(message, title.startsWith('the record of') ? /ownkey: /u : /^ownkey: /u)
    assert.doesNotMatch(message, /\bE[A-Z]{4,}\b|SQLITE|\bat \S+:\d+/u)
    // Bringing the log into the database does not change records.
    const after = stateOf(of)
    const changed = after.filter(
      line => !before.includes(line) && !(/^the (?:blobs|record of)/u.test(title) && line.startsWith('records.')),
    )
    assert.deepEqual(changed, [])
    assert.deepEqual(
      before.filter(line => !line.startsWith('records.') && !after.includes(line)),
      [],
    )
    rmSync(of, { recursive: true })
  })
}

test('a start with a few blobs missing, and one that no record names, goes on, and says and records it', async () => {
  const of = join(folder, 'few')
  copy(killed, of)
  const blobs = blobsIn(of)
  const [lost = '', stray] = [blobs[0], `${blobs[1]?.slice(0, -1)}x`]
  const kept = readFileSync(pathOf(of, lost))
  rmSync(pathOf(of, lost))
  writeFileSync(pathOf(of, stray), 'x', { mode: 0o600 })
  // Half-written files of a kill.
  const halves = [`.root.key.${randomUUID()}.tmp`, `ca/ca-key.pem.${randomUUID()}.tmp`]
  for (const half of halves) writeFileSync(join(of, half), 'half', { mode: 0o600 })
  let cloud = await startCloudProcess(of)
  for (const half of halves) assert.equal(existsSync(join(of, half)), false, half)
  const log = readFileSync(join(of, 'service.log'), 'utf8')
  assert.match(log, new RegExp(`Blobs that records name are missing: 1 \\(${lost}\\)`, 'u'))
  assert.match(log, new RegExp(`set aside in blobs/quarantine for 7 days: 1 \\(${stray}\\)`, 'u'))
  const { output } = await ownkey('audit', '--data-dir', of, '--format', 'json')
  for (const operation of ['OwnKey/blobs/missing', 'OwnKey/blobs/quarantined'])
    assert.ok(output.includes(operation), operation)
  await cloud.stop()
  const day = new Date().toISOString().slice(0, 10)
  const aside = join(of, 'blobs/quarantine', day)
  assert.deepEqual(readdirSync(aside), [stray])

  // Blobs that a record names come back from there, as after older records were accepted.
  writeFileSync(join(aside, lost), kept, { mode: 0o600 })
  cloud = await startCloudProcess(of)
  assert.match(readFileSync(join(of, 'service.log'), 'utf8'), /came back from the quarantine: 1\./u)
  assert.deepEqual(readFileSync(pathOf(of, lost)), kept)
  await cloud.stop()

  // A week later, and not a day before.
  renameSync(aside, join(of, 'blobs/quarantine', dayAgo(6)))
  cloud = await startCloudProcess(of)
  await cloud.stop()
  assert.deepEqual(readdirSync(join(of, 'blobs/quarantine', dayAgo(6))), [stray])
  renameSync(join(of, 'blobs/quarantine', dayAgo(6)), join(of, 'blobs/quarantine', dayAgo(9)))
  cloud = await startCloudProcess(of)
  await cloud.stop()
  assert.deepEqual(readdirSync(join(of, 'blobs/quarantine')), [])
})

test('an operator who accepts older records loses no blob: those without a record are set aside', async () => {
  const of = join(folder, 'accepted')
  copy(killed, of)
  for (const name of ['records.db', 'records.db-wal']) cpSync(join(older, name), join(of, name))
  let cloud = await startCloudProcess(of, ['--accept-changed-records'])
  await cloud.stop()
  assert.equal(blobsIn(of).length, FILES)
  assert.ok(readdirSync(join(of, 'blobs/quarantine'), { recursive: true }).length > FILES / 2)
  for (const name of ['records.db', 'records.db-wal', 'records.head']) copy(join(killed, name), join(of, name))
  cloud = await startCloudProcess(of)
  const azure = await Azure.in(cloud.endpoints)
  await cloud.stop()
  assert.ok(azure)
  assert.deepEqual(
    blobsIn(of).filter(id => readdirSync(join(of, 'blobs', id.slice(0, 2))).includes(id)),
    blobsIn(killed),
  )
  assert.match(readFileSync(join(of, 'service.log'), 'utf8'), /came back from the quarantine: \d+\./u)
})

test('a first start that was killed at any moment begins again', async () => {
  for (const last of ['first-start', 'ca/ca-key.pem', 'root.key', 'records.db', 'records.head', 'blobs/incoming']) {
    const of = join(folder, `first-${last.replaceAll('/', '-')}`)
    const child = spawn(process.execPath, [cli, 'start', '--data-dir', of, '--port', '0'], { stdio: 'ignore' })
    const ended = once(child, 'exit')
    while (!existsSync(join(of, last)) && child.exitCode === null) await pause(2)
    child.kill('SIGKILL')
    await ended
    const cloud = await startCloudProcess(of)
    await Azure.in(cloud.endpoints)
    await cloud.stop()
    assert.ok(!readdirSync(of).includes('first-start'))
  }
})

test(
  'a folder with a part that belongs to somebody else is refused, and the part is named',
  { skip: notRoot },
  async () => {
    const of = join(folder, 'owners')
    copy(killed, of)
    chmodSync(folder, 0o755)
    execFileSync('chown', ['-R', '65534:65534', of])
    for (const name of [
      'root.key',
      'records.db',
      'records.db-wal',
      'records.head',
      'ca/ca-key.pem',
      'ca',
      'blobs',
      'lock',
      '.',
    ]) {
      const path = join(of, name)
      execFileSync('chown', ['0:0', path])
      const before = stateOf(of)
      const said = await say(['start', '--port', '0', '--data-dir', of], {
        ...NOBODY,
        env: { ...process.env, HOME: folder },
      })
      assert.equal(said.code, 1, name)
      assert.match(said.err.replaceAll(/\s+/gu, ' '), /^ownkey: .*(?:owner|must own the folder)/u, name)
      assert.ok(name === '.' || said.err.replaceAll(/\s+/gu, '').includes(name.replace(/-wal$|\/.*$/u, '')), said.err)
      assert.deepEqual(stateOf(of), before, name)
      execFileSync('chown', ['65534:65534', path])
    }
  },
)

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { startCloudProcess } from '../../src/demo/cloud-process.ts'
import { Azure } from '../support/azure.ts'

const FILES = 12
let folder: string
/** A cloud with files whose process was killed: what lies in its log is in no other place. */
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
    if (n === 2) cpSync(killed, older, { recursive: true })
  }
  await cloud.kill()
})
after(() => rm(folder, { recursive: true, force: true }))

const blobsIn = (of: string): string[] =>
  readdirSync(join(of, 'blobs'), { recursive: true, encoding: 'utf8' })
    .filter(name => statSync(join(of, 'blobs', name)).isFile())
    .map(name => name.split('/').at(-1) ?? '')
    .toSorted()

/** Everything in the folder but what says that a process has it. */
function stateOf(of: string): string[] {
  return readdirSync(of, { recursive: true, encoding: 'utf8' })
    .filter(name => !/^(?:lock|lock\.pid|service\.log|endpoints\.json)$|^blobs(?:\/incoming)?$/u.test(name))
    .map(name => {
      const path = join(of, name)
      return statSync(path).isFile() ? `${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}` : name
    })
    .filter(line => !/^records\.db-wal e3b0c4/u.test(line))
    .toSorted()
}

const inKilled = (of: string, name: string): string => join(of, name)
const flip = (path: string, share: number): void => {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * share)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)
  writeFileSync(path, bytes)
}
const remove = (of: string, ...names: string[]): void => {
  for (const name of names) rmSync(join(of, name), { recursive: true, force: true })
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
    of => writeFileSync(join(of, 'records.db'), 'not a database at all\n'.repeat(99)),
    /not a database\. Restore it from a backup/u,
  ],
  [
    'records.db is a folder',
    of => (remove(of, 'records.db', 'records.db-wal'), mkdirSync(join(of, 'records.db'))),
    /records\.db is a folder where a file must be/u,
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
    /root\.key is not the one with which these records were written/u,
  ],
  [
    'root.key is a folder',
    of => (remove(of, 'root.key'), mkdirSync(join(of, 'root.key'))),
    /root\.key is a folder where a file must be/u,
  ],
  ['the key of the CA is deleted', of => remove(of, 'ca/ca-key.pem'), /ca-key\.pem is missing or empty\..*--new-ca/u],
  ['the certificate of the CA is deleted', of => remove(of, 'ca/ca.pem'), /ca\.pem is missing or empty\..*--new-ca/u],
  ['the key of the CA is damaged', of => writeFileSync(join(of, 'ca/ca-key.pem'), 'x'), /ca-key\.pem is damaged/u],
  ['the whole CA is deleted', of => remove(of, 'ca'), /ca\.pem is missing or empty/u],
  [
    'a file is in the place of ca',
    of => (remove(of, 'ca'), writeFileSync(join(of, 'ca'), '')),
    /ca .*a folder must be|ca is there already/u,
  ],
  [
    'the blobs are not there: a disk that is not mounted',
    of => (remove(of, 'blobs'), mkdirSync(join(of, 'blobs'))),
    /12 of the 12 blobs that records name are not in .*is its disk mounted/u,
  ],
  [
    'a file is in the place of blobs',
    of => (remove(of, 'blobs'), writeFileSync(join(of, 'blobs'), '')),
    /blobs is a file where a folder must be/u,
  ],
  ['a folder is in the place of the lock', of => (remove(of, 'lock'), mkdirSync(join(of, 'lock'))), /lock/u],
]

for (const [title, harm, says] of refused) {
  test(`a start is refused where ${title}: one sentence says what and what to do; not a byte changes`, async () => {
    const of = join(folder, title.replaceAll(/\W+/gu, '-'))
    cpSync(killed, of, { recursive: true })
    harm(of)
    const before = stateOf(of)
    const { code, output, errors } = await ownkey('start', '--data-dir', of, '--port', '0')
    assert.equal(code, 1, output)
    const message = errors.replaceAll(/\s+/gu, ' ')
    assert.match(message, says)
    assert.match(message, /^ownkey: /u)
    assert.doesNotMatch(message, /\bE[A-Z]{4,}\b|SQLITE|\bat \S+:\d+/u)
    assert.deepEqual(stateOf(of), before)
    rmSync(of, { recursive: true })
  })
}

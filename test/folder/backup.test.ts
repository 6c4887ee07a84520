import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAdministrator } from '../../src/folder/administrator-client.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { folderFor } from '../cli/command-line.fixture.ts'
import { Azure, pause, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { filesBelow, lonelyRecords } from './folder.fixture.ts'

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const MARKER = 'plaintext-that-no-backup-holds'

async function reEncrypted(azure: Azure, account: TestAccount): Promise<void> {
  await azure.arm('POST', `${azure.accountPath(account.name)}/reEncrypt`, {})
  for (let status = 'InProgress'; status === 'InProgress'; await pause(100))
    status = (await azure.arm('GET', `${azure.accountPath(account.name)}/reEncryption`)).body.status
}

test('a backup of a cloud under load has everything that was acknowledged before it, and no plaintext', async t => {
  const cloud = await cloudFor(t)
  const target = join(await folderFor(t), 'backup')
  const azure = await Azure.in(cloud.endpoints)
  const [own, customers] = [await azure.account('own'), await azure.account('customers')]
  await (await azure.vault('kv-backup')).createRsaKey('k1', { keySize: 2048 })
  await azure.policy('kv-backup', 'add', customers.principalId)
  assert.equal((await customers.encrypt({ vault: 'kv-backup', name: 'k1' })).status, 200)
  const known = new Map<string, { account: TestAccount; sha: string }>()
  const remember = async (account: TestAccount, n: number): Promise<void> => {
    const id = await account.upload(`${MARKER} ${n}`, 'secret-name.jsonl', 40)
    known.set(id, { account, sha: digest(await account.download(id)) })
  }
  for (let n = 0; n < 12; n++) await remember(n % 2 === 0 ? own : customers, n)
  const doomed: string[] = []
  for (let n = 0; n < 10; n++) doomed.push(await own.upload(`${MARKER} doomed ${n}`))

  const load = new AbortController()
  const until = async (work: (n: number) => Promise<unknown>): Promise<number> => {
    let done = 0
    while (!load.signal.aborted) await work(done++)
    return done
  }
  const loads = [
    until(n => own.upload(`${MARKER} meanwhile ${n}`)),
    until(async n => own.openai.files.delete(doomed[n] ?? (await own.upload(`${MARKER} and gone`)))),
    until(n => customers.encrypt(n % 2 === 0 ? undefined : { vault: 'kv-backup', name: 'k1' })),
    until(() => reEncrypted(azure, own)),
  ]
  await pause(300)
  const first = await ownkey('backup', cloud.dataDir, target, '--format', 'json')
  assert.equal(first.code, 0, first.errors)
  const report = JSON.parse(first.output)
  assert.deepEqual(report.problems, [])
  // A second one, incremental, under the same load.
  const second = await ownkey('backup', cloud.dataDir, target)
  assert.equal(second.code, 0, second.errors)
  load.abort()
  for (const done of await Promise.all(loads)) assert.ok(done > 0, 'the load did nothing')
  assert.match(second.output, /root key {2}not in it/)

  for (const { path, mode, isFolder, bytes } of await filesBelow(target)) {
    assert.equal(mode, isFolder ? 0o700 : 0o600, path)
    for (const clear of [MARKER, 'secret-name'])
      for (const form of [
        clear,
        Buffer.from(clear).toString('hex'),
        Buffer.from(clear).toString('base64').slice(0, -4),
      ])
        assert.ok(!bytes.includes(form), `${path} holds ${form}`)
  }
  const rootKey = join(cloud.dataDir, 'root.key')
  const secret = (await readFile(rootKey, 'utf8')).trim()
  for (const { path, bytes } of await filesBelow(target))
    assert.ok(!bytes.includes(secret) && !bytes.includes(Buffer.from(secret, 'base64')), path)
  await assert.rejects(stat(join(cloud.dataDir, 'snapshot')), 'the snapshot was left in the data folder')

  const { port } = cloud.endpoints
  const restored = join(await folderFor(t), 'restored')
  const said = await ownkey('restore', target, restored, '--root-key', rootKey)
  assert.equal(said.code, 0, said.errors)
  await cloud.stop()
  const again = await startCloudProcess(restored, ['--port', String(port), '--key-lease-seconds', '1', '--new-ca'])
  t.after(() => again.stop())
  const there = await Azure.in(again.endpoints)
  for (const account of [own, customers]) {
    const reached = await there.account(account.name)
    const listed = new Set((await reached.openai.files.list()).data.map(({ id }) => id))
    for (const [id, one] of known) {
      if (one.account.name !== account.name) continue
      assert.ok(listed.has(id), `${id} of ${account.name} is not listed`)
      assert.equal(digest(await reached.download(id)), one.sha)
    }
    await reached.upload('it goes on')
  }
  assert.equal((await ownkey('audit', 'verify', '--data-dir', restored)).code, 0)
  const proof = await ownkey('prove', '--data-dir', restored, '--whole')
  assert.equal(proof.code, 0, proof.output)
  const log = await auditRecords(restored)
  const mark = log.find(({ operationName }) => operationName === 'OwnKey/backup/restored')
  assert.match(mark?.resultDescription ?? '', /restored from the backup of 20/)
})

test('a second backup only adds what is new and removes what no record names', async t => {
  const cloud = await cloudFor(t)
  const target = join(await folderFor(t), 'backup')
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('steps')
  const kept = await account.upload('kept')
  const gone = await account.upload('gone')
  const backup = async () => {
    const { code, output, errors } = await ownkey('backup', cloud.dataDir, target, '--format', 'json')
    assert.equal(code, 0, errors)
    return JSON.parse(output)
  }
  const first = await backup()
  assert.deepEqual([first.blobs, first.linked + first.copied, first.removed], [2, 2, 0])
  const before = (await filesBelow(target)).filter(({ path }) => path.includes('/blobs/'))
  await account.openai.files.delete(gone)
  await account.upload('new')
  const second = await backup()
  assert.deepEqual([second.blobs, second.linked + second.copied, second.removed], [2, 1, 1])
  const after = (await filesBelow(target)).filter(({ path, isFolder }) => path.includes('/blobs/') && !isFolder)
  assert.equal(after.length, 2)
  assert.equal(after.filter(({ path, ino }) => before.some(one => one.path === path && one.ino === ino)).length, 1)
  // Nothing of a former state stays, since its keys may be destroyed now.
  assert.equal((await readdir(target)).filter(name => name.startsWith('state-')).length, 1)

  // An earlier backup still has what the folder lost since.
  await cloud.stop()
  const blob = after.find(({ path, ino }) => before.some(one => one.path === path && one.ino === ino))?.path ?? ''
  await unlink(join(cloud.dataDir, 'blobs', blob.slice(blob.indexOf('/blobs/') + 7)))
  const third = await backup()
  assert.deepEqual([third.running, third.problems, third.blobs], [false, [], 2])
  const restored = join(await folderFor(t), 'restored')
  const said = await ownkey('restore', target, restored, '--root-key', join(cloud.dataDir, 'root.key'))
  assert.equal(said.code, 0, said.errors)
  const again = await startCloudProcess(restored, ['--new-ca'])
  t.after(() => again.stop())
  const reached = await (await Azure.in(again.endpoints)).account('steps')
  assert.match((await reached.download(kept)).toString(), /kept/)
})

test('with --with-root-key a stopped cloud comes back whole, with its certificate authority', async t => {
  const cloud = await cloudFor(t)
  const target = join(await folderFor(t), 'backup')
  const account = await (await Azure.in(cloud.endpoints)).account('whole')
  const file = await account.upload('all of it')
  await cloud.stop()
  const made = await ownkey('backup', cloud.dataDir, target, '--with-root-key')
  assert.equal(made.code, 0, made.errors)
  assert.match(made.output, /no cloud runs/)
  assert.match(made.output, /IN IT: whoever has this folder has the data/)
  const restored = join(await folderFor(t), 'restored')
  const said = await ownkey('restore', target, restored)
  assert.equal(said.code, 0, said.errors)
  assert.match(said.output, /CA {8}the former one/)
  for (const name of ['root.key', 'ca/ca.pem', 'ca/ca-key.pem'])
    assert.deepEqual(await readFile(join(restored, name)), await readFile(join(cloud.dataDir, name)))
  for (const { path, mode, isFolder } of await filesBelow(restored)) assert.equal(mode, isFolder ? 0o700 : 0o600, path)
  const again = await startCloudProcess(restored)
  t.after(() => again.stop())
  const reached = await (await Azure.in(again.endpoints)).account('whole')
  assert.match((await reached.download(file)).toString(), /all of it/)
})

test('a backup of damaged records does not replace a former one', async t => {
  const cloud = await cloudFor(t)
  const target = join(await folderFor(t), 'backup')
  const account = await (await Azure.in(cloud.endpoints)).account('damaged')
  await account.upload('one')
  await cloud.stop()
  assert.equal((await ownkey('backup', cloud.dataDir, target)).code, 0)
  const manifest = await readFile(join(target, 'backup.json'), 'utf8')
  const whole = (await filesBelow(target)).map(({ path }) => path)

  const other = join(await folderFor(t), 'other')
  const [blob = ''] = (await readdir(join(cloud.dataDir, 'blobs'), { recursive: true })).filter(name =>
    name.includes('/'),
  )
  await unlink(join(cloud.dataDir, 'blobs', blob))
  const lacking = await ownkey('backup', cloud.dataDir, other)
  assert.equal(lacking.code, 1)
  assert.match(lacking.output, /NOT in it the blob \S+ is missing/)

  lonelyRecords(cloud.dataDir, database =>
    database.exec(`UPDATE records SET mac = x'00' WHERE collection = 'accounts.names'`),
  )
  const refused = await ownkey('backup', cloud.dataDir, target)
  assert.equal(refused.code, 1)
  assert.match(refused.errors.replaceAll(/\s+/g, ' '), /changed outside this service|not as they were written/)
  assert.equal(await readFile(join(target, 'backup.json'), 'utf8'), manifest)
  assert.deepEqual(
    (await filesBelow(target)).map(({ path }) => path),
    whole,
  )
})

test('backup and restore refuse harmful uses, and say what to do', async t => {
  const cloud = await cloudFor(t)
  const folder = await folderFor(t)
  const target = join(folder, 'backup')
  const { dataDir } = cloud
  const rootKey = join(dataDir, 'root.key')
  const refused = async (says: RegExp, ...args: string[]): Promise<void> => {
    const { code, output, errors } = await ownkey(...args)
    assert.deepEqual([code, output], [1, ''], errors)
    assert.match(errors.replaceAll(/\s+/g, ' '), says)
  }
  await refused(/There is no folder/, 'backup', join(folder, 'none'), target)
  await refused(/lie in one another/, 'backup', dataDir, join(dataDir, 'backup'))
  await rm(join(dataDir, 'backup'), { recursive: true })
  await refused(/holds no backup/, 'restore', folder, join(folder, 'new'))
  await refused(/There is no folder/, 'restore', target, join(folder, 'new'))
  assert.equal((await ownkey('backup', dataDir, target)).code, 0)
  await refused(/holds something else \(backup\)/, 'backup', dataDir, folder)
  await refused(/is not empty \(backup\)/, 'restore', target, folder, '--root-key', rootKey)
  await refused(/is not empty/, 'restore', target, dataDir, '--root-key', rootKey)
  await refused(/has no root key in it.*--root-key/, 'restore', target, join(folder, 'new'))

  const stranger = await cloudFor(t)
  const strangers = join(stranger.dataDir, 'root.key')
  await refused(/not the root key under which/, 'restore', target, join(folder, 'new'), '--root-key', strangers)
  await refused(/a backup of another cloud/, 'backup', stranger.dataDir, target)

  // One at a time. One that is killed is removed at the next start at the latest.
  const client = await connectAdministrator(dataDir)
  const { id } = await client.call<{ id: string }>('POST', '/ownkey/backup')
  await refused(/A backup of this cloud is under way/, 'backup', dataDir, target)
  await client.call('DELETE', `/ownkey/backup/${id}`)
  await client.call('POST', '/ownkey/backup')
  assert.ok((await readdir(join(dataDir, 'snapshot'))).includes('records.db'))
  await cloud.restart('kill')
  await assert.rejects(stat(join(dataDir, 'snapshot')))
  assert.equal((await ownkey('backup', dataDir, target)).code, 0)
})

test('with a head that was kept elsewhere, restore refuses an older backup', async t => {
  const folder = await folderFor(t)
  const counter = join(folder, 'counter')
  const cloud = await cloudFor(t, ['--freshness', `file:${counter}`])
  const target = join(folder, 'backup')
  const account = await (await Azure.in(cloud.endpoints)).account('fresh')
  await account.upload('before')
  assert.equal((await ownkey('backup', cloud.dataDir, target)).code, 0)
  await account.upload('after')
  await cloud.stop()
  const rootKey = join(cloud.dataDir, 'root.key')
  const known = (await readFile(counter, 'utf8')).trim()
  const older = await ownkey('restore', target, join(folder, 'older'), '--root-key', rootKey, '--known-head', known)
  assert.equal(older.code, 1)
  assert.match(older.errors.replaceAll(/\s+/g, ' '), /it is an older state/)
  const restored = join(folder, 'restored')
  const made = await ownkey('restore', target, restored, '--root-key', rootKey, '--freshness', `file:${counter}`)
  assert.equal(made.code, 0, made.errors)
  assert.ok(made.output.includes((await readFile(counter, 'utf8')).trim()))
  const again = await startCloudProcess(restored, ['--new-ca', '--freshness', `file:${counter}`])
  await again.stop()
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { blobFiles } from '../../src/store/blob-files.ts'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause, refusal, untilRefused, type Reply, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-die-'))
after(() => rm(folder, { recursive: true, force: true }))
const control = join(folder, 'die-at')
process.env['OWNKEY_TEST_DIE_AT'] = control
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('renewed')
const keys = await azure.vault('kv-renew')
const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-renew', 'add', account.principalId)
assert.equal((await account.encrypt({ vault: 'kv-renew', name: 'cmk', version: properties.version })).status, 200)

interface Blob {
  readonly blobId: string
  readonly kind: string
  readonly generation: number
}

const begin = (of: TestAccount, body: object = {}): Promise<Reply> =>
  azure.arm('POST', `${azure.accountPath(of.name)}/reEncrypt`, body)
const look = (of: TestAccount): Promise<Reply> => azure.arm('GET', `${azure.accountPath(of.name)}/reEncryption`)
const blobsOf = async (of: TestAccount): Promise<Blob[]> =>
  (await azure.arm('GET', `${azure.accountPath(of.name)}/protectedData`)).body.value
/** Without the quarantine, where a start puts the leftovers of a crash. */
const sealedFiles = async (): Promise<string[]> => (await blobFiles(join(cloud.dataDir, 'blobs'))).ids

const proofOfDeletion = async (id: string): Promise<string> =>
  (await ownkey('prove', '--deleted', id, '--data-dir', cloud.dataDir)).output

/** @param everyMs each poll makes an audit record, which is a commit */
async function ended(of: TestAccount, everyMs = 100): Promise<Reply['body']> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const { body } = await look(of)
    if (body.status !== 'InProgress') return body
    assert.ok(Date.now() < deadline, JSON.stringify(body))
    await pause(everyMs)
  }
}

test('R01, R18: re-encryption seals every blob and loss anew under a new data key, destroys the old one, and nobody notices', async () => {
  const file = await account.upload('before the compromise', 'secret-name.jsonl')
  const job = await account.jobIs(await account.train(file), ['succeeded'])
  const model = job.fine_tuned_model ?? ''
  const seen = async (): Promise<object> => ({
    content: (await account.download(file)).toString(),
    name: (await account.openai.files.retrieve(file)).filename,
    results: (await account.download(job.result_files[0] ?? '')).toString(),
    events: (await account.openai.fineTuning.jobs.listEvents(job.id, { limit: 100 })).data.map(
      ({ message }) => message,
    ),
    checkpoints: (await account.openai.fineTuning.jobs.checkpoints.list(job.id)).data.map(({ metrics }) => metrics),
  })
  const [before, files, blobs] = [await seen(), await sealedFiles(), await blobsOf(account)]
  assert.equal((await look(account)).status, 404)
  const started = await begin(account)
  assert.equal(started.status, 202, JSON.stringify(started.body))
  assert.match(started.headers.get('azure-asyncoperation') ?? '', /\/reEncryption\?api-version=/)
  const end = await ended(account)
  assert.equal(end.status, 'Succeeded', JSON.stringify(end))
  assert.equal(end.percentComplete, 100)
  assert.equal(end.properties.blobs.done, blobs.length)
  assert.ok(end.properties.records > 2, 'the losses of events and checkpoints')
  assert.deepEqual([...new Set((await blobsOf(account)).map(({ generation }) => generation))], [3])
  assert.deepEqual(await seen(), before)
  const now = await sealedFiles()
  assert.equal(now.length, files.length)
  assert.deepEqual(
    now.filter(name => files.includes(name)),
    [],
    'no former sealed file is left',
  )
  assert.equal((await account.deploy('after', model)).status, 201)
  assert.notEqual(await account.chat('after'), '')
  assert.equal((await account.undeploy('after')).status, 200)
  const kept = await sealedFiles()
  await account.openai.files.delete(file)
  const left = await sealedFiles()
  assert.equal(left.length, files.length - 1)
  assert.match(await proofOfDeletion(file), /no file of it in the folder/)
  const deleted = kept.find(name => !left.includes(name)) ?? ''
  assert.match(deleted, /-g3-[0-9a-f]{8}$/)
  const putBack = join(cloud.dataDir, 'blobs', deleted)
  await writeFile(putBack, 'put back')
  assert.match(await proofOfDeletion(file), /A FILE OF IT IS STILL THERE/)
  await rm(putBack)
})

test('R05: it is audited, and told apart from a second one', async () => {
  const file = await account.upload('slow', 'slow.jsonl', 2000)
  for (const mebibytesPerSecond of [0, -1, '5', 1e9])
    assert.match((await refusal(() => begin(account, { mebibytesPerSecond })))?.message ?? '', /mebibytesPerSecond/)
  assert.equal((await begin(account, { mebibytesPerSecond: 0.5 })).status, 202)
  // Without a body, as `az rest --method post` sends none.
  const again = await refusal(() => azure.arm('POST', `${azure.accountPath(account.name)}/reEncrypt`))
  assert.equal(again?.code, 'ReEncryptionInProgress')
  const during = await account.upload('while it runs')
  const deleted = await account.upload('gone while it runs')
  await account.openai.files.delete(deleted)
  await account.openai.files.delete(file)
  assert.equal((await ended(account)).status, 'Succeeded')
  assert.match((await account.download(during)).toString(), /while it runs/)
  const { body } = await azure.armRoot('GET', '/ownkey/audit?last=2000')
  const names = JSON.stringify(body)
  assert.match(names, /accounts\/reEncrypt\/action/)
  assert.match(names, /the former data keys are destroyed/)
})

test('R21: while the key is disabled it waits, and afterwards it goes on by itself', async () => {
  const file = await account.upload('waits for its key', 'wait.jsonl', 6000)
  const small = await account.upload('small')
  assert.equal((await begin(account, { mebibytesPerSecond: 0.5 })).status, 202)
  await keys.updateKeyProperties('cmk', properties.version ?? '', { enabled: false })
  await untilRefused(() => account.download(small))
  for (let waits = ''; waits === ''; await pause(100)) waits = (await look(account)).body.properties.waitingFor ?? ''
  await keys.updateKeyProperties('cmk', properties.version ?? '', { enabled: true })
  assert.equal((await ended(account)).status, 'Succeeded')
  assert.match((await account.download(file)).toString(), /waits for its key/)
  await account.openai.files.delete(file)
})

test('R18: the service dies at each of its commits of a re-encryption; it goes on at the next start, and every file opens', async () => {
  const dying = await azure.account('dying', 'None')
  const contents = ['one', 'two']
  const files = await Promise.all(contents.map(content => dying.upload(`file ${content}`)))
  let at = 0
  for (let done = false; !done;) {
    at += 1
    assert.ok(at < 60, 'it never ends')
    await writeFile(control, String(at))
    const begun = await begin(dying).catch(() => undefined)
    const end = begun === undefined ? undefined : await ended(dying, 1000).catch(() => undefined)
    await rm(control)
    done = end !== undefined
    if (!done) await cloud.restart('kill')
    const state = (await look(dying)).body
    if (state.status === 'InProgress') assert.equal((await ended(dying, 1000)).status, 'Succeeded')
    for (const [index, file] of files.entries())
      assert.match((await dying.download(file)).toString(), new RegExp(`file ${contents[index]}`), `commit ${at}`)
    const blobs = await blobsOf(dying)
    assert.equal(new Set(blobs.map(({ generation }) => generation)).size, 1, `commit ${at}`)
    assert.equal((await azure.armRoot('GET', '/ownkey/audit/verify')).body.ok, true)
  }
  assert.ok(at > 3)
  await cloud.restart()
  const all = (await blobsOf(dying)).length + (await blobsOf(account)).length
  assert.equal((await sealedFiles()).length, all, 'a restart sets aside what a crash left')
})

test('R05, R26: no data key of a soft-deleted account is destroyed without a record either', async () => {
  const leaving = await azure.account('leaving', 'None')
  await leaving.upload('soft-deleted meanwhile', 'leaving.jsonl', 3000)
  assert.equal((await begin(leaving, { mebibytesPerSecond: 0.5 })).status, 202)
  assert.equal((await azure.arm('DELETE', azure.accountPath(leaving.name))).status, 202)
  const records = async (): Promise<string[]> =>
    (await auditRecords(cloud.dataDir))
      .filter(({ resourceId }) => resourceId?.endsWith('/LEAVING'))
      .map(({ resultDescription }) => resultDescription ?? '')
  const deadline = Date.now() + 30_000
  while (!(await records()).includes('Done: the former data keys are destroyed')) {
    assert.ok(Date.now() < deadline, (await records()).join('\n'))
    await pause(500)
  }
})

test('R01: a blob that does not open is named and keeps its data key', async () => {
  const other = await azure.account('damaged', 'None')
  const [good, bad] = [await other.upload('whole'), await other.upload('damaged')]
  const damagedId = (await blobsOf(other)).map(({ blobId }) => blobId)
  assert.equal(damagedId.length, 2)
  const path = join(cloud.dataDir, 'blobs')
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const isBad = await refusal(() => other.download(bad))
  assert.equal(isBad, undefined)
  const target = entries.find(entry => entry.isFile() && entry.name.startsWith(damagedId[0] ?? '?'))
  const handle = await open(join(target?.parentPath ?? '', target?.name ?? ''), 'r+')
  await handle.write(Buffer.from([1, 2, 3, 4]), 0, 4, 200)
  await handle.close()
  const { status, body } = await begin(other)
  assert.equal(status, 202, JSON.stringify(body))
  const end = await ended(other)
  assert.equal(end.status, 'Failed')
  assert.match(end.error.message, /1 blobs do not open/)
  assert.equal(end.properties.failed[0].blobId, damagedId[0])
  const outcomes = await Promise.all([good, bad].map(file => refusal(() => other.download(file))))
  assert.equal(outcomes.filter(outcome => outcome === undefined).length, 1)
})

test('R05: `ownkey re-encrypt` does it from the command line and shows how far it is', async () => {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const args = [cli, 're-encrypt', '--data-dir', cloud.dataDir, '--account', 'renewed']
  const { stdout } = await promisify(execFile)(process.execPath, args)
  assert.match(stdout, /data key of generation \d+ made\n(.*blobs.*\n)+Done: the former data keys are destroyed\.\n$/)
})

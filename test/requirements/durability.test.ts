import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openAiClient } from '../../src/harness/azure-client.ts'
import { endpointsFile } from '../../src/base/endpoints.ts'
import { blobFiles } from '../../src/store/blob-files.ts'
import { Azure, pause, refusal, TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('lasting')
const keys = await azure.vault('kv-lasting')
const versions = [(await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version ?? '']
await azure.policy('kv-lasting', 'add', account.principalId)

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

test('a folder started again is the same cloud: CA, ids, secrets, keys, data and deployments', async () => {
  const file = await account.upload('remembered')
  await account.deploy('base', 'gpt-4o-mini-2024-07-18')
  const before = cloud.endpoints
  const ca = await readFile(before.caCertificate, 'utf8')
  await cloud.restart()
  const again = JSON.parse(await readFile(endpointsFile(cloud.dataDir), 'utf8')) as typeof cloud.endpoints
  const fixed = { instanceMetadata: '', caCertificateUrl: '' }
  assert.deepEqual({ ...again, ...fixed }, { ...before, ...fixed })
  assert.equal(await readFile(again.caCertificate, 'utf8'), ca)
  assert.match((await account.download(file)).toString(), /remembered/)
  assert.notEqual(await account.chat('base'), '')
  assert.equal((await keys.getKey('cmk')).properties.version, versions[0])
})

test('a folder started again on another port: data under the former key URI opens, and can change to the new one', async () => {
  const { port } = cloud.endpoints
  assert.equal((await account.encrypt({ vault: 'kv-lasting', name: 'cmk', version: versions[0] })).status, 200)
  const file = await account.upload('under a key URI with the former port')
  await cloud.restart('clean', 0)
  assert.notEqual(cloud.endpoints.port, port)
  const { name, principalId, openai } = account
  const openaiThere = openAiClient(cloud.endpoints, name, openai.apiKey ?? '')
  const moved = new TestAccount(new Azure(cloud.endpoints), name, principalId, openaiThere)
  assert.match((await moved.download(file)).toString(), /with the former port/)
  assert.equal((await moved.encrypt({ vault: 'kv-lasting', name: 'cmk', version: versions[0] })).status, 200)
  assert.equal((await moved.encrypt(undefined)).status, 200)
  await cloud.restart('clean', port)
})

test('a second process on the same folder is refused with what to do', async () => {
  const second = spawnSync(process.execPath, [cli, 'start', '--data-dir', cloud.dataDir, '--port', '0'], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  assert.notEqual(second.status, 0)
  assert.match(second.stderr, /in\s+use\s+by\s+another\s+OwnKey,\s+process\s+\d+\.\s+Stop/)
  assert.doesNotMatch(second.stderr, /at .*\.ts:\d+/, 'a stack is not a message')
  assert.ok((await account.openai.files.list()).data.length > 0)
})

test('a port of another program is named, with what to do', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-port-'))
  t.after(() => rm(dataDir, { recursive: true }))
  const args = [cli, 'start', '--data-dir', dataDir, '--port', String(cloud.endpoints.port)]
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
  assert.notEqual(status, 0)
  assert.match(stderr, /Port \d+ is in use by another program\.[^]*--port/)
  assert.doesNotMatch(stderr, /at .*\.ts:\d+/, 'a stack is not a message')
})

test('every file in the folder is for its owner alone', async () => {
  for (const entry of await readdir(cloud.dataDir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mode } = await stat(path)
    // The CA's and the server's certificates are public.
    const isPublic = /\/(ca|server)\.pem$/.test(path)
    assert.equal(mode & 0o077 & (isPublic ? 0o022 : 0o077), 0, `${path} has mode ${(mode & 0o777).toString(8)}`)
  }
})

test('SIGTERM ends the service cleanly with its children', async () => {
  assert.equal(await cloud.stop(), 0)
  await assert.rejects(readFile(endpointsFile(cloud.dataDir)), 'the endpoints of a cloud that is gone')
  await cloud.restart()
  assert.notEqual(await account.chat('base'), '')
})

test('kill -9 at any moment of uploads loses nothing that was acknowledged', async t => {
  const acknowledged = new Map<string, string>()
  for (let round = 0; round < 4; round += 1) {
    const stop = new AbortController()
    const writer = async (lane: number): Promise<void> => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const marker = `round ${round} lane ${lane} number ${n}`
        const id = await account.upload(marker).catch(() => undefined)
        if (id === undefined) return
        acknowledged.set(id, marker)
      }
    }
    const writers = [0, 1, 2].map(writer)
    await pause(150 + 170 * round)
    await cloud.kill()
    stop.abort()
    await Promise.all(writers)
    await cloud.restart()
  }
  t.diagnostic(`${acknowledged.size} uploads were acknowledged`)
  assert.ok(acknowledged.size > 8)
  for (const [id, marker] of acknowledged)
    assert.match((await account.download(id)).toString(), new RegExp(`${marker}"`))
  const listed = await account.openai.files.list()
  // Uploads that a kill broke off before their record lie in quarantine, which is not among these.
  const { ids } = await blobFiles(join(cloud.dataDir, 'blobs'))
  // One file each, and the sealed copy of the base deployment's weights if there is one.
  const extra = ids.length - listed.data.length
  assert.ok(extra <= 1, `${extra} blobs belong to nothing`)
})

test('kill -9 while keys change leaves every file readable under the key that the account names', async t => {
  const file = await account.upload('through every change')
  const outcomes: string[] = []
  for (let round = 0; round < 8; round += 1) {
    versions.push((await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version ?? '')
    const change =
      round % 3 === 2
        ? account.encrypt()
        : account.encrypt({ vault: 'kv-lasting', name: 'cmk', version: versions.at(-1) })
    const settled = change.then(
      ({ status }) => `answered ${status}`,
      () => 'cut off',
    )
    await pause(10 + 25 * round)
    await cloud.kill()
    outcomes.push(await settled)
    await cloud.restart()
    const encryption = await account.encryption()
    assert.equal(
      await refusal(() => account.download(file)),
      undefined,
      `round ${round}: ${JSON.stringify(encryption)}`,
    )
    assert.match((await account.download(file)).toString(), /through every change/)
  }
  t.diagnostic(outcomes.join(', '))
  const last = await account.encrypt({ vault: 'kv-lasting', name: 'cmk', version: versions.at(-1) })
  assert.equal(last.status, 200, JSON.stringify(last.body))
})

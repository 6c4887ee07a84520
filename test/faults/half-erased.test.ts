import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { failBy, failures, forgetRules, noCompiler } from './failing-disk.ts'

const VAULTS = '2023-07-01'

suite('a disk that keeps what is deleted', { skip: noCompiler }, async () => {
  after(forgetRules)
  if (noCompiler !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('kept')
  account.openai.maxRetries = 0
  const [file, other] = [await account.upload('first'), await account.upload('second')]
  const { fine_tuned_model: model } = await account.jobIs(await account.train(file), ['succeeded'])
  assert.equal((await account.deploy('tuned', String(model))).status, 201)
  const blobs = async (): Promise<number> =>
    (await readdir(join(cloud.dataDir, 'blobs'), { recursive: true, withFileTypes: true })).filter(one => one.isFile())
      .length
  const wrappedKeys = async (): Promise<Set<string>> => {
    const [database, log] = ['records.db', 'records.db-wal'].map(name => readFile(join(cloud.dataDir, name), 'latin1'))
    return new Set(`${await database}${await log}`.match(/"wrappedKey":"[^"]+"/g))
  }
  const logged = async (text: string): Promise<number> =>
    (await readFile(join(cloud.dataDir, 'service.log'), 'utf8')).split(text).length - 1

  test('R28: a deployment, a model with its checkpoints and a file are deleted though their sealed files stay, and the log names those', async () => {
    const before = await blobs()
    await failBy({ calls: 'unlink', part: '/blobs/', error: 'EIO' })
    assert.equal((await account.undeploy('tuned')).status, 200)
    assert.equal((await account.openai.models.delete(String(model))).deleted, true)
    assert.equal((await account.openai.files.delete(file)).deleted, true)
    assert.equal(await blobs(), before)
    const kept = await failures()
    await failBy()
    assert.ok(kept > 3, String(kept))
    assert.equal(await logged('its key is destroyed, and it is set aside later'), kept)
    await assert.rejects(account.openai.files.retrieve(file), { status: 404 })
  })

  test('each of these deletions has one audit record, which says that it was done', async () => {
    const records = (await auditRecords(cloud.dataDir)).filter(({ operationName }) => operationName.endsWith('/delete'))
    const shown = records.map(({ operationName, resultType }) => `${operationName.split('/').at(-2)} ${resultType}`)
    assert.deepEqual(shown, ['deployments Success', 'models Success', 'files Success'])
  })

  test('R26: a deletion whose old bytes the disk did not let erase says so, and the next change erases them', async () => {
    const before = await wrappedKeys()
    await failBy({ calls: 'truncate', part: 'records.db-wal', error: 'EIO' })
    const answer = await refusal(() => account.openai.files.delete(other))
    await failBy()
    assert.deepEqual([answer?.status, answer?.code], [500, 'ErasureIncomplete'], answer?.message)
    await assert.rejects(account.openai.files.retrieve(other), { status: 404 })
    await account.openai.files.list()
    const now = await wrappedKeys()
    assert.equal(before.difference(now).size, 1)
  })

  test('R26: an account and a vault are purged though the disk does not let old bytes be erased, and the log says that once', async () => {
    await azure.vault('kv-half', { enablePurgeProtection: undefined })
    for (const name of ['one', 'two']) await azure.keys('kv-half').createRsaKey(name)
    await (await azure.account('half')).upload('half')
    const gone = await azure.deleteAccount('half')
    while ((await azure.arm('GET', gone)).status !== 200) await pause(20)
    await azure.arm('DELETE', azure.vaultPath('kv-half'), undefined, VAULTS)
    const purged = `/providers/Microsoft.KeyVault/locations/${cloud.endpoints.location}/deletedVaults/kv-half`
    await failBy({ calls: 'truncate', part: 'records.db-wal', error: 'EIO' })
    const { status, headers } = await azure.arm('DELETE', gone)
    assert.equal(status, 202)
    const { pathname, search } = new URL(headers.get('location') ?? '')
    while ((await azure.armRoot('GET', `${pathname}${search}`)).status === 202) await pause(20)
    const ended = await azure.armRoot('GET', `${pathname}${search}`)
    const answer = await azure.arm('POST', `${purged}/purge`, undefined, VAULTS)
    const left = [await azure.arm('GET', gone), await azure.arm('GET', purged, undefined, VAULTS)]
    await failBy()
    for (const { body } of [ended, answer]) assert.equal(body?.error?.code, 'ErasureIncomplete')
    assert.deepEqual(
      left.map(one => one.status),
      [404, 404],
    )
    assert.equal(await logged('still to be erased'), 1)
  })

  test('the next start sets aside what the disk kept', async () => {
    await cloud.restart('kill')
    assert.equal((await ownkey('verify', '--data-dir', cloud.dataDir)).code, 0)
    assert.equal((await ownkey('prove', '--data-dir', cloud.dataDir)).code, 0)
    const names = await readdir(join(cloud.dataDir, 'blobs', 'quarantine'), { recursive: true, withFileTypes: true })
    assert.ok(names.filter(one => one.isFile()).length > 3)
  })
})

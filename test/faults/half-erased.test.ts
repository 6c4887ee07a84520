import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { failBy, failures, forgetRules, noCompiler } from './failing-disk.ts'

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

  test('the next start sets aside what the disk kept', async () => {
    await cloud.restart('kill')
    assert.equal((await ownkey('verify', '--data-dir', cloud.dataDir)).code, 0)
    assert.equal((await ownkey('prove', '--data-dir', cloud.dataDir)).code, 0)
    const names = await readdir(join(cloud.dataDir, 'blobs', 'quarantine'), { recursive: true, withFileTypes: true })
    assert.ok(names.filter(one => one.isFile()).length > 3)
  })
})

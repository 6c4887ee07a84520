import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { blobDigests } from '../../src/harness/search-folder.ts'
import { Azure, BASE_MODEL, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { engineIds } from '../support/engine-processes.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('deleting')

/** Every byte of the database and its log. */
async function databaseBytes(): Promise<Buffer> {
  const names = (await readdir(cloud.dataDir)).filter(name => name.startsWith('records.db'))
  return Buffer.concat(await Promise.all(names.map(name => readFile(join(cloud.dataDir, name)))))
}

/** The wrapped blob keys in the database, as the base64 text of its rows. */
async function wrappedBlobKeys(): Promise<Set<string>> {
  const text = (await databaseBytes()).toString('latin1')
  return new Set([...text.matchAll(/"wrappedKey":"([A-Za-z0-9+/=]{40,})"/g)].map(([, key = '']) => key))
}

test('R26: a deleted training file is gone: its bytes, its only key, every copy of that key in the database', async () => {
  const kept = await account.upload('stays')
  const [blobsBefore, keysBefore] = [await blobDigests(cloud.dataDir), await wrappedBlobKeys()]
  const file = await account.upload('goes')
  const [blobsWith, keysWith] = [await blobDigests(cloud.dataDir), await wrappedBlobKeys()]
  const own = [...keysWith].filter(key => !keysBefore.has(key))
  assert.equal(blobsWith.size, blobsBefore.size + 1)
  assert.equal(own.length, 1)
  assert.deepEqual(await account.openai.files.delete(file), { id: file, object: 'file', deleted: true })
  assert.deepEqual(await blobDigests(cloud.dataDir), blobsBefore)
  const bytes = await databaseBytes()
  for (const key of own)
    assert.equal(bytes.includes(key), false, 'the wrapped key still stands in the database or its log')
  assert.equal((await refusal(() => account.download(file)))?.status, 404)
  assert.equal((await refusal(() => account.openai.files.delete(file)))?.status, 404)
  assert.match((await account.download(kept)).toString(), /stays/)
})

test('R28: a deleted fine-tuned model is gone: from the list, from the disk, and no deployment can be made of it', async () => {
  const file = await account.upload('to be trained on')
  const before = await blobDigests(cloud.dataDir)
  const { fine_tuned_model: model, result_files: results } = await account.jobIs(await account.train(file), [
    'succeeded',
  ])
  assert.ok(model)
  const withModel = await blobDigests(cloud.dataDir)
  await account.openai.models.delete(model)
  for (const id of results) await account.openai.files.delete(id)
  assert.ok(withModel.size > before.size)
  assert.deepEqual([...(await blobDigests(cloud.dataDir)).keys()].toSorted(), [...before.keys()].toSorted())
  assert.equal((await refusal(() => account.openai.models.retrieve(model)))?.status, 404)
  const late = await refusal(() => account.deploy('late', model))
  assert.deepEqual([late?.status, late?.code], [400, 'DeploymentModelNotSupported'])
})

test('R28: the copy and the process of a deleted deployment are gone', async () => {
  const file = await account.upload('to be served')
  const { fine_tuned_model: model } = await account.jobIs(await account.train(file), ['succeeded'])
  const before = await blobDigests(cloud.dataDir)
  const processes = engineIds(cloud.pid, 'inference')
  assert.equal((await account.deploy('short-lived', model ?? '')).status, 201)
  await account.chat('short-lived')
  assert.equal(engineIds(cloud.pid, 'inference').length, processes.length + 1)
  assert.ok((await account.undeploy('short-lived')).status < 300)
  assert.equal((await refusal(() => account.chat('short-lived')))?.code, 'DeploymentNotFound')
  assert.deepEqual(await blobDigests(cloud.dataDir), before)
  assert.deepEqual(engineIds(cloud.pid, 'inference'), processes)
  await account.openai.models.delete(model ?? '')
})

test('R28: the base model can be deployed and undeployed, and can not be deleted by the customer', async () => {
  assert.equal((await account.deploy('base', BASE_MODEL)).status, 201)
  const refused = await refusal(() => account.openai.models.delete(BASE_MODEL))
  assert.deepEqual([refused?.status, refused?.code], [400, 'invalidPayload'])
  assert.ok((await account.undeploy('base')).status < 300)
})

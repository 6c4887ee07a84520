import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { foundIn, wrappedIn } from './folder.ts'

const cloud = await cloudFor({ after }, ['--key-watch-seconds', '1'])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('alpha')
for (const vault of ['kv-one', 'kv-two']) {
  const keys = await azure.vault(vault)
  await keys.createRsaKey('k1', { keySize: 2048 })
  await azure.policy(vault, 'add', account.principalId)
}
const keys = azure.keys('kv-one')
await keys.createRsaKey('k2', { keySize: 2048 })
const file = await account.upload('from the beginning')
// It is never changed, so the search always finds something.
await (await azure.account('other', 'None')).upload('of another account')

/** Checks that the change destroyed something, and that it is in no file of the folder. */
async function destroys(what: () => Promise<unknown>): Promise<void> {
  const before = await wrappedIn(cloud.dataDir)
  await what()
  const now = new Set(await wrappedIn(cloud.dataDir))
  const gone = before.filter(text => !now.has(text))
  assert.ok(gone.length > 0, 'the change destroyed nothing')
  assert.deepEqual(await foundIn(cloud.dataDir, gone), [])
  // The search finds keys that are still there.
  assert.ok((await foundIn(cloud.dataDir, [...now])).length > 0)
}

const put = async (key?: Parameters<typeof account.encrypt>[0]): Promise<void> => {
  const { status, body } = await account.encrypt(key)
  assert.equal(status, 200, JSON.stringify(body))
}
const reEncrypted = async (): Promise<void> => {
  for (;;) {
    const { body } = await azure.arm('GET', `${azure.accountPath('alpha')}/reEncryption`)
    if (body.status !== 'InProgress') return assert.equal(body.status, 'Succeeded', JSON.stringify(body))
    await pause(100)
  }
}

test('R15: enabling leaves neither the service`s key nor anything that it had wrapped', async () => {
  await destroys(() => put({ vault: 'kv-one', name: 'k1' }))
})

test('R18: following a rotation by itself leaves nothing that the former version had wrapped', async () => {
  await destroys(async () => {
    const { properties } = await keys.rotateKey('k1')
    for (let kid = ''; !kid.endsWith(properties.version ?? '-'); await pause(100))
      kid = (await account.encryption()).status.keyIdentifier ?? ''
  })
})

test('R16, R18: another version by name leaves nothing that the former one had wrapped', async () => {
  const { properties } = await keys.rotateKey('k1')
  await destroys(() => put({ vault: 'kv-one', name: 'k1', version: properties.version }))
})

test('R17: another key, and another vault, leave nothing that the former key had wrapped', async () => {
  await destroys(() => put({ vault: 'kv-one', name: 'k2' }))
  await destroys(() => put({ vault: 'kv-two', name: 'k1' }))
})

test('R18: a re-encryption leaves neither a former data key nor what it had wrapped', async () => {
  await destroys(async () => {
    await azure.arm('POST', `${azure.accountPath('alpha')}/reEncrypt`, {})
    await reEncrypted()
  })
})

test('R26, R28: the checkpoints that a job drops leave no blob key', async () => {
  const job = await account.train(file, { hyperparameters: { n_epochs: 6, batch_size: 4 } })
  const seen = new Set<string>()
  for (let status = ''; status !== 'succeeded';) {
    for (const text of await wrappedIn(cloud.dataDir)) seen.add(text)
    status = (await account.jobIs(job, ['pending', 'running', 'succeeded'])).status
  }
  const now = new Set(await wrappedIn(cloud.dataDir))
  const dropped = [...seen].filter(text => !now.has(text))
  assert.ok(dropped.length > 0, 'it dropped none')
  assert.deepEqual(await foundIn(cloud.dataDir, dropped), [])
})

test('R26, R28: deleted files, deployments and models leave no blob key', async () => {
  const { fine_tuned_model: model, result_files: results } = await account.jobIs(await account.train(file), [
    'succeeded',
  ])
  await destroys(() => account.openai.files.delete(results[0] ?? ''))
  await destroys(() => account.openai.files.delete(file))
  assert.equal((await account.deploy('own-copy', model ?? '')).status, 201)
  await destroys(() => account.undeploy('own-copy'))
  await destroys(() => account.openai.models.delete(model ?? ''))
})

test('R29: disabling leaves nothing that the customer’s key had wrapped', async () => {
  await account.upload('under the service’s key again')
  await destroys(() => put())
})

test('R26: a purge leaves no key of the account', async () => {
  await destroys(async () => {
    await azure.arm('DELETE', azure.accountPath('alpha'))
    const { location } = cloud.endpoints
    const path = `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/${azure.group}/deletedAccounts/alpha`
    for (let status = 200; status !== 404; await pause(100)) {
      await azure.arm('DELETE', path)
      status = (await azure.arm('GET', path)).status
    }
  })
})

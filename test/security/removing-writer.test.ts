import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { writeRows, type Row } from './folder.ts'
import { changed, during, rowOf, written } from './writer.fixture.ts'

const cloud = await cloudFor({ after })
const CANARY = 'only the victim may remove this'
const azure = await Azure.in(cloud.endpoints)
const [victim, evil] = [await azure.account('victim', 'None'), await azure.account('evil', 'None')]
const [theirs, own] = [await victim.upload(CANARY), await evil.upload('own data')]
for (const [account, file] of [
  [victim, theirs],
  [evil, own],
] as const) {
  const { fine_tuned_model: model } = await account.jobIs(await account.train(file), ['succeeded'])
  assert.equal((await account.deploy(`copy-of-${account.name}`, model ?? '')).status, 201)
}

const row = (folder: string, collection: string, needle: string): Row =>
  rowOf(folder, collection, ({ id, value }) => `${id} ${JSON.stringify(value)}`.includes(needle))

test('K5: a deployment whose row names the copy of another account’s is deleted without it', async () => {
  const plant = (folder: string): Row[] => {
    const { blobId } = row(folder, 'accounts.deployments', 'copy-of-victim').value
    return changed([row(folder, 'accounts.deployments', 'copy-of-evil')], { blobId })
  }
  await during(cloud, plant, async () => assert.ok((await evil.undeploy('copy-of-evil')).status < 300))
  // Started anew since: from the file.
  assert.notEqual(await victim.chat('copy-of-victim'), '')
})

test('K5: an account is purged without the blobs of another one, whose records were put among its own', async () => {
  await written(cloud, async folder => {
    const { accountId } = row(folder, 'openai.files', own).value
    const { blobId } = row(folder, 'openai.files', theirs).value
    await writeRows(folder, [{ ...row(folder, 'encryption.blobs', `/${blobId} `), id: `${accountId}/${blobId}` }])
  })
  const deleted = await azure.deleteAccount('evil')
  assert.ok((await azure.arm('DELETE', deleted)).status < 300)
  // The files are removed after the answer.
  while ((await azure.arm('GET', deleted)).status !== 404) await pause(50)
  assert.match((await victim.download(theirs)).toString(), new RegExp(CANARY))
})

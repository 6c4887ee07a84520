import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { readDatabase, refusedStart } from './database-writer.ts'
import { forgeTree, type FormerRow } from './forged-tree.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('alpha', 'None')
const { dataDir } = cloud

test('an older record behind a root of the table that leads past the present one ends the start, and verify says so · K2', async () => {
  const file = await account.upload('what an API key opens')
  await cloud.stop()
  const [old] = readDatabase(dataDir, "SELECT * FROM records WHERE collection = 'accounts.accounts'")
  await cloud.restart()
  assert.equal((await account.patch({ properties: { disableLocalAuth: true } })).status, 200)
  assert.equal((await refusal(() => account.download(file)))?.status, 403)
  await cloud.stop()
  forgeTree(join(dataDir, 'records.db'), old as unknown as FormerRow)
  const { code } = await ownkey('audit', 'verify', '--data-dir', dataDir)
  assert.equal(code, 1)
  assert.match(await refusedStart(dataDir), /the records are out of order/u)
})

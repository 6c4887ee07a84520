import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ask } from '../support/asking.ts'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { othersWaitLittle } from '../support/waits.ts'
import { rowsIn, writeRows } from './folder.ts'
import { written } from './writer.fixture.ts'

const MANY = 5000
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('many-files')
const keys = await azure.vault('kv-many')
await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-many', 'add', account.principalId)
assert.equal((await account.encrypt({ vault: 'kv-many', name: 'cmk' })).status, 200)
await account.upload()
// Uploading as many files as a list may hold would take a minute, so these records share one blob's bytes.
await written(cloud, async folder => {
  const [one] = rowsIn(folder, 'openai.files')
  assert.ok(one)
  const { accountId } = one.value as { accountId: string }
  const copies = Array.from({ length: MANY }, (_, n) => {
    const fileId = `file-${String(n).padStart(32, '0')}`
    return { ...one, id: `${accountId}/${fileId}`, value: { ...one.value, fileId } }
  })
  for (let at = 0; at < MANY; at += 1000) await writeRows(folder, copies.slice(at, at + 1000))
})

async function lists(): Promise<void> {
  const headers = { 'api-key': String(account.openai.apiKey) }
  const url = `https://${account.name}${cloud.endpoints.openAiSuffix}/openai/v1/files?limit=10000`
  for (const { status, text } of await Promise.all([1, 2, 3, 4, 5, 6].map(() => ask({ url, headers })))) {
    assert.equal(status, 200)
    assert.ok(text.length > MANY * 100)
  }
}

test(`while somebody lists ${MANY} files six times at once, others wait less than 50 ms`, async () =>
  othersWaitLittle(cloud.endpoints, lists))

test('nor do they when the key is refused', async () => {
  await azure.policy('kv-many', 'remove', account.principalId)
  await pause(LEASE_SECONDS * 1000)
  await othersWaitLittle(cloud.endpoints, lists)
})

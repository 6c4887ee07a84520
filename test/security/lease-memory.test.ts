import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ClientSecretCredential } from '@azure/identity'
import { CryptographyClient } from '@azure/keyvault-keys'
import { keyRows } from '../../src/encryption/key-ring-rows.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'
import { Azure, pause, untilRefused } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { outsideVault } from '../support/outside-vault.ts'
import { memoryOf, occurrences } from '../support/process-memory.ts'

const outside = await outsideVault({ after })
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern, '--key-watch-seconds', '3600'])
const azure = await Azure.in(cloud.endpoints)
const { account } = await keyedAccount(azure, 'forgotten', outside)
const file = await account.upload('in memory')

test('once a lease has ended or was refused, the data key is nowhere in the memory of the service', async t => {
  await useIt()
  const running = await memoryOf(cloud.pid)
  await pause(LEASE_SECONDS * 1000 + 1000)
  const ended = await memoryOf(cloud.pid)
  await useIt()
  await outside.permit([])
  await untilRefused(() => account.download(file))
  await pause(500)
  const refused = await memoryOf(cloud.pid)
  await outside.permit(['get', 'wrapKey', 'unwrapKey'])

  // Only now, so that the search itself does not bring the key into memory.
  await cloud.stop()
  const key = await dataKey()
  const found = [running, ended, refused].map(memory => occurrences(memory, key))
  t.diagnostic(`found ${found.join(', ')} times: under the lease, after it, after a refusal`)
  assert.ok((found[0] ?? 0) > 0, 'the search finds it while it is used')
  assert.deepEqual(found.slice(1), [0, 0])
  const text = Buffer.from(key.toString('base64url').slice(0, 40))
  const texts = [running, ended, refused].map(memory => occurrences(memory, text))
  t.diagnostic(`as text: ${texts.join(', ')} times`)
})

/** Everything that uses the data key: downloads, uploads, sealed records, lists. */
async function useIt(): Promise<void> {
  await account.download(file)
  await account.upload('more')
  await account.openai.files.list()
  const job = await account.train(file, { hyperparameters: { n_epochs: 1 } })
  await account.jobIs(job, ['succeeded'])
  await account.openai.fineTuning.jobs.listEvents(job)
  await account.download(file)
}

async function dataKey(): Promise<Buffer> {
  const records = await openSqliteRecords(join(cloud.dataDir, 'records.db'))
  const rows = (await records.list(keyRows, { limit: 1000 })).map(({ value }) => value)
  await records.close()
  const row = rows.find(({ kekId }) => kekId.startsWith(outside.uri))
  assert.ok(row)
  const { AZURE_TENANT_ID: tenant = '', AZURE_CLIENT_ID: id = '', AZURE_CLIENT_SECRET: secret = '' } = process.env
  const operator = new ClientSecretCredential(tenant, id, secret, {
    authorityHost: process.env['AZURE_AUTHORITY_HOST'] ?? '',
    disableInstanceDiscovery: true,
  })
  const vault = new CryptographyClient(row.kekId, operator, {
    disableChallengeResourceVerification: true,
  })
  const { result } = await vault.unwrapKey('RSA-OAEP-256', Buffer.from(row.wrapped, 'base64'))
  return Buffer.from(result).subarray(0, 32)
}

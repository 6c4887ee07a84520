import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const cloud = await cloudFor({ after }, ['--key-watch-seconds', '3600'])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('read')
const keys = await azure.vault('kv-read')
await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-read', 'add', account.principalId)
assert.equal((await account.encrypt({ vault: 'kv-read', name: 'cmk' })).status, 200)

/** How often the vault was asked. Each time the key is read once, and each generation unwrapped. */
const reads = async (): Promise<number> =>
  (await auditRecords(cloud.dataDir, '--vault', 'kv-read')).filter(
    ({ operationName, callerIpAddress }) => operationName === 'KeyGet' && callerIpAddress === 'service',
  ).length

test('R19: a reader of the account sees the vault`s answer of at most a lease ago, though nobody used the key', async () => {
  assert.equal((await account.encryption()).status.state, 'Active')
  await azure.policy('kv-read', 'remove', account.principalId)
  await pause(LEASE_SECONDS * 1000)
  const { state, cause } = (await account.encryption()).status
  assert.deepEqual([state, cause], ['KeyUnavailable', 'AccessDenied'])
  await azure.policy('kv-read', 'add', account.principalId)
  await pause(LEASE_SECONDS * 1000)
  assert.equal((await account.encryption()).status.state, 'Active')
})

test('many reads at once ask the vault once in a lease', async () => {
  await pause(LEASE_SECONDS * 1000)
  const before = await reads()
  await Promise.all(Array.from({ length: 20 }, () => account.encryption()))
  assert.equal(await reads(), before + 1)
  await pause(LEASE_SECONDS * 2000)
  assert.equal(await reads(), before + 1)
})

test('the state of a key is never answered with 304, since it changes without the account', async () => {
  const { resourceManager, subscriptionId } = azure.endpoints
  const token = await azure.credential.getToken(`${resourceManager}/.default`)
  const url = `${resourceManager}/subscriptions/${subscriptionId}${azure.accountPath('read')}?api-version=2025-06-01`
  const headers = { authorization: `Bearer ${token?.token ?? ''}` }
  const etag = (await fetch(url, { headers })).headers.get('etag') ?? ''
  assert.equal((await fetch(url, { headers: { ...headers, 'if-none-match': etag } })).status, 200)
  assert.equal((await account.encrypt()).status, 200)
  const plain = (await fetch(url, { headers })).headers.get('etag') ?? ''
  assert.equal((await fetch(url, { headers: { ...headers, 'if-none-match': plain } })).status, 304)
})

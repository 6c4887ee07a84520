import assert from 'node:assert/strict'
import { copyFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { keyMaterial } from '../../src/keyvault/key-record.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'
import { temporaryFolder } from '../../src/store/temporary-folder.ts'
import { startCloud, type Cloud } from './cloud.fixture.ts'

const DAY = 86_400

async function cloudFor(t: TestContext, ...records: Parameters<typeof startCloud>): Promise<Cloud> {
  const cloud = await startCloud(...records)
  t.after(() => cloud.close())
  await cloud.vault('kv-main')
  return cloud
}

async function noticesOf(cloud: Cloud): Promise<string[]> {
  return (await cloud.auditEntries())
    .map(({ operationName }) => operationName)
    .filter(name => name.endsWith('EventGridNotification'))
}

test('a key without a policy gets a notice 30 days before it expires, and another when it has', async t => {
  const cloud = await cloudFor(t)
  const exp = Math.floor(Date.now() / 1000) + 60 * DAY
  const key = { kty: 'EC', attributes: { exp } }
  await cloud.call('kv-main', 'POST', '/keys/Passing/create', { body: key })
  await cloud.advance(29)
  assert.deepEqual(await noticesOf(cloud), [])
  await cloud.advance(2)
  await cloud.advance(1)
  assert.deepEqual(await noticesOf(cloud), ['KeyNearExpiryEventGridNotification'])
  const [near] = await cloud.auditEntries('KeyNearExpiryEventGridNotification')
  assert.match(JSON.stringify(near?.properties), /\/keys\/Passing\/[0-9a-f]{32}"/)

  // With a later end both are due again.
  await cloud.call('kv-main', 'PATCH', '/keys/passing', { body: { attributes: { exp: exp + 30 * DAY } } })
  await cloud.advance(28)
  await cloud.advance(31)
  await cloud.advance(1)
  assert.deepEqual(await noticesOf(cloud), [
    'KeyNearExpiryEventGridNotification',
    'KeyNearExpiryEventGridNotification',
    'KeyExpiredEventGridNotification',
  ])
})

test('a version that was rotated in time gets no notice of its expiry, however far the clock jumps · R18', async t => {
  const cloud = await cloudFor(t)
  await cloud.call('kv-main', 'POST', '/keys/k/create', { body: { kty: 'EC' } })
  const policy = {
    lifetimeActions: [
      { trigger: { timeAfterCreate: 'P30D' }, action: { type: 'Rotate' } },
      { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } },
    ],
    attributes: { expiryTime: 'P90D' },
  }
  assert.equal((await cloud.call('kv-main', 'PUT', '/keys/k/rotationpolicy', { body: policy })).status, 200)
  await cloud.advance(365)
  assert.deepEqual(await noticesOf(cloud), [])
  assert.equal((await cloud.auditEntries('KeyRotateIfDue')).length, 12)
})

test('purged keys are gone from every file of the store when the answer comes · R08 R26', async t => {
  const folder = temporaryFolder()
  const records = await openSqliteRecords(join(folder, 'records.db'))
  const cloud = await cloudFor(t, records)
  await cloud.vault('kv-second')
  await cloud.call('kv-main', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })
  await cloud.call('kv-main', 'POST', '/keys/k/rotate')
  await cloud.call('kv-second', 'POST', '/keys/k/create', { body: { kty: 'EC' } })
  const sealed = (await records.list(keyMaterial, { limit: 1000 })).map(({ value }) => value.sealed)
  assert.equal(sealed.length, 3)
  const present = async (): Promise<number> => {
    const bytes = await bytesOf(folder)
    return sealed.filter(text => bytes.includes(text.slice(40, 80))).length
  }
  assert.equal(await present(), 3)
  await cloud.call('kv-main', 'DELETE', '/keys/k')
  assert.equal((await cloud.call('kv-main', 'DELETE', '/deletedkeys/k')).status, 204)
  assert.equal(await present(), 1)
  await cloud.arm('DELETE', cloud.vaultId('kv-second'))
  const deleted = `/subscriptions/${cloud.subscription}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults`
  assert.equal((await cloud.arm('POST', `${deleted}/kv-second/purge`)).status, 200)
  assert.equal(await present(), 0)
})

/** Reads copies, since closing the files themselves would drop the locks of this process. */
async function bytesOf(folder: string): Promise<string> {
  const copies = temporaryFolder()
  const names = (await readdir(folder, { withFileTypes: true })).filter(entry => entry.isFile())
  const texts = names.map(async ({ name }) => {
    await copyFile(join(folder, name), join(copies, name))
    return readFile(join(copies, name), 'latin1')
  })
  return (await Promise.all(texts)).join('')
}

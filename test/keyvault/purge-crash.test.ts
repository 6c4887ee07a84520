import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { keyMaterial, keys, keyVersions } from '../../src/keyvault/key-record.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause, type Reply } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-die-'))
after(() => rm(folder, { recursive: true, force: true }))
const control = join(folder, 'die-at')
process.env['OWNKEY_TEST_DIE_AT'] = control
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const deleted = `/providers/Microsoft.KeyVault/locations/${cloud.endpoints.location}/deletedVaults/kv-dying`
const VERSION = '2023-07-01'

async function deletedVault(): Promise<void> {
  const client = await azure.vault('kv-dying', { enablePurgeProtection: undefined })
  for (const name of ['a', 'b', 'c']) await client.createEcKey(name)
  await client.rotateKey('a')
  await (await client.beginDeleteKey('c', { intervalInMs: 1 })).pollUntilDone()
  assert.equal((await azure.arm('DELETE', azure.vaultPath('kv-dying'), undefined, VERSION)).status, 200)
}

const purge = (): Promise<Reply | undefined> =>
  azure.arm('POST', `${deleted}/purge`, undefined, VERSION).catch(() => undefined)

async function isFree(): Promise<boolean> {
  const body = { name: 'kv-dying', type: 'Microsoft.KeyVault/vaults' }
  const path = '/providers/Microsoft.KeyVault/checkNameAvailability'
  return (await azure.arm('POST', path, body, VERSION)).body.nameAvailable
}

test('a purge of a vault that a crash breaks off at any commit is finished by itself · R08 R21', async t => {
  let deaths = 0
  for (let at = 1; ; at++) {
    assert.ok(at < 30, 'the purge never ends')
    await deletedVault()
    await writeFile(control, String(at))
    const reply = await purge()
    await rm(control)
    if (reply !== undefined) {
      assert.equal(reply.status, 200, JSON.stringify(reply.body))
      break
    }
    deaths += 1
    await cloud.restart('kill')
    const { status } = await azure.arm('GET', deleted, undefined, VERSION)
    // The first commit decides. Without it the vault is soft-deleted as before.
    if (status === 200 && !(await endsByItself())) assert.equal((await purge())?.status, 200, `after commit ${at}`)
    assert.equal(await isFree(), true, `after commit ${at}`)
  }
  t.diagnostic(`${deaths} deaths`)
  assert.ok(deaths >= 4, String(deaths))
  assert.equal((await ownkey('audit', 'verify', '--data-dir', cloud.dataDir)).code, 0)
  await cloud.stop()
  const records = await openSqliteRecords(join(cloud.dataDir, 'records.db'))
  for (const each of [keys, keyVersions, keyMaterial]) assert.equal(await records.count(each), 0, each.name)
  await records.close()
  const purges = (await auditRecords(cloud.dataDir)).filter(({ operationName }) => operationName === 'VaultPurge')
  // One for each vault: what goes on after a crash has its record already.
  assert.equal(purges.length, deaths + 1)
})

async function endsByItself(): Promise<boolean> {
  for (let tries = 0; tries < 40; tries++) {
    if (await isFree()) return true
    await pause(50)
  }
  return false
}

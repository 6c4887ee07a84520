import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { DefaultAzureCredential } from '@azure/identity'
import { KeyClient } from '@azure/keyvault-keys'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { Azure, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { outsideVault, type OutsideVault } from '../support/outside-vault.ts'

/**
 * Keys in a vault that is not the cloud's. With AZURE_KEYVAULT_URI (soft delete and purge protection on) and a credential
 * that DefaultAzureCredential finds, against that vault of Azure, in which it makes keys named `ownkey-conformance-…`;
 * otherwise against the vault of a second cloud over real TLS.
 */
const given = process.env['AZURE_KEYVAULT_URI']
const prefix = `ownkey-conformance-${randomUUID().slice(0, 8)}`
const other: OutsideVault | undefined = given === undefined ? await outsideVault({ after }) : undefined
const uri = other?.uri ?? given ?? ''
const keys =
  other?.keys ??
  new KeyClient(uri, new DefaultAzureCredential({ disableInstanceDiscovery: 'AZURE_AUTHORITY_HOST' in process.env }))
await other?.permit(['get', 'wrapKey', 'unwrapKey'])
const cloud = await cloudFor({ after }, ['--outside-vaults', other?.pattern ?? new URL(uri).host])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('elsewhere')
const file = await account.upload('kept under a key from outside')
const { properties: first } = await keys.createRsaKey(prefix, { keySize: 2048 })

const encrypt = (keyName: string, keyVersion = '', keyVaultUri = uri) =>
  account.patch({
    properties: {
      encryption: { keySource: 'Microsoft.KeyVault', keyVaultProperties: { keyVaultUri, keyName, keyVersion } },
    },
  })
const codes = (body: { error: { details: { code: string }[] } }): string[] => body.error.details.map(({ code }) => code)
const opens = async (): Promise<void> =>
  assert.match((await account.download(file)).toString(), /kept under a key from outside/)

after(async () => {
  if (other !== undefined) return
  for await (const { name } of keys.listPropertiesOfKeys()) if (name.startsWith(prefix)) await keys.beginDeleteKey(name)
})

test('R11, R12: keys that an outside vault does not have, or that are of the wrong type or size, are refused and named', async () => {
  await keys.createEcKey(`${prefix}-ec`)
  await keys.createRsaKey(`${prefix}-big`, { keySize: 3072 })
  const expected = { ec: 'R12.KeyType', big: 'R12.KeySize', none: 'R06.KeyNotFound' }
  for (const [name, code] of Object.entries(expected)) {
    const { status, body } = await encrypt(`${prefix}-${name}`)
    assert.equal(status, 400, name)
    assert.ok(codes(body).includes(code), JSON.stringify(body))
  }
  await opens()
})

test('R15, R16, R18: enabled by URI the data is under the outside key; another version, then service-managed keys again', async () => {
  const enabled = await encrypt(prefix, first.version)
  assert.equal(enabled.status, 200, JSON.stringify(enabled.body))
  assert.equal(enabled.body.properties.encryption.status.state, 'Active')
  await opens()
  const { properties: second } = await keys.createRsaKey(prefix, { keySize: 2048 })
  assert.equal((await encrypt(prefix, second.version)).status, 200)
  await opens()
  await cloud.restart()
  await opens()
  assert.equal((await account.encrypt()).status, 200)
  await opens()
})

test('requirements that only Resource Manager could check are named as not checked · R07, R09, R10', async () => {
  const { body } = await encrypt(prefix, first.version)
  const [warning] = body.properties.encryption.warnings
  assert.equal(warning.code, 'VaultNotChecked')
  assert.match(warning.message, /region.*tenant.*trusted.*access policies/)
  assert.equal((await account.encrypt()).body.properties.encryption.warnings, undefined)
})

test('a vault that the operator did not name is not called', async () => {
  const { host, hostname } = new URL(uri)
  const others = [
    'https://127.0.0.1:1/',
    'https://169.254.169.254/',
    `https://${hostname}:1/`,
    `https://a.${host}/`,
    `https://evil.example/`,
    `https://${hostname}.evil.example/`,
  ]
  other?.asked()
  for (const vaultUri of others) {
    const { status, body } = await encrypt(prefix, '', vaultUri)
    assert.equal(status, 400, vaultUri)
    assert.deepEqual(codes(body), ['R06.VaultNotFound'], vaultUri)
    assert.match(body.error.message, /--outside-vaults/)
  }
  assert.equal(other?.asked() ?? 0, 0)
})

test('R08: soft delete and purge protection of an outside vault are read from the recovery level of the key', async t => {
  if (other === undefined) return t.skip('needs a vault without purge protection')
  const weak = await other.another('kv-weak', { enablePurgeProtection: undefined })
  const { status, body } = await encrypt('cmk', '', weak)
  assert.equal(status, 400)
  assert.ok(codes(body).includes('R08.PurgeProtectionOff'), JSON.stringify(body))
  assert.match(body.error.message, /Recoverable\+Purgeable/)
})

test('R19, R20, R22: each permission taken from the operator`s credential closes the data within a lease, and gives it back', async t => {
  if (other === undefined) return t.skip('needs the management of the vault')
  const all = ['get', 'wrapKey', 'unwrapKey']
  assert.equal((await encrypt(prefix, first.version)).status, 200)
  for (const permission of all) {
    await other.permit(all.filter(kept => kept !== permission))
    const { status, code, message, seconds } = await untilRefused(() => account.download(file))
    assert.deepEqual([status, code], [403, 'CustomerManagedKeyUnavailable'], permission)
    assert.match(message, /\(AccessDenied\)/)
    assert.ok(seconds < 2)
    await other.permit(all)
    await untilAllowed(() => account.download(file))
  }
  await other.permit(['get', 'wrapKey'])
  const refused = await encrypt(prefix, first.version)
  assert.deepEqual(codes(refused.body), ['R11.PermissionMissing'])
  assert.match(refused.body.error.message, /operator's credential can't do 'unwrapKey'/)
  await other.permit(all)
})

test('R13, R31: without the account`s identity an outside key is out of reach too', async () => {
  assert.equal((await encrypt(prefix, first.version)).status, 200)
  await account.patch({ identity: { type: 'None' } })
  assert.match((await refusal(() => account.download(file)))?.message ?? '', /\(IdentityMissing\)/)
  await account.patch({ identity: { type: 'SystemAssigned' } })
  await untilAllowed(() => account.download(file))
})

test('an operator who takes the vault from the list closes the data under it', async t => {
  assert.equal((await encrypt(prefix, first.version)).status, 200)
  const port = String(azure.endpoints.port)
  await cloud.stop()
  const closed = await startCloudProcess(cloud.dataDir, ['--key-lease-seconds', '1', '--port', port])
  t.after(() => closed.stop())
  const refused = await refusal(() => account.download(file))
  assert.match(refused?.message ?? '', /\(VaultNotAllowed\).*--outside-vaults/)
})

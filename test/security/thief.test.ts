import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Azure, pause, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { outsideVault } from '../support/outside-vault.ts'
import { copyOf } from './folder.ts'
import { noThief, thief, type Loot } from './thief.ts'

// The key is outside of the folder, since a thief of a folder with root.key and its own vaults has every key.
const vault = await outsideVault({ after })
await vault.permit(['get', 'wrapKey', 'unwrapKey'])
await vault.keys.createRsaKey('k1', { keySize: 2048 })
await vault.keys.createRsaKey('k2', { keySize: 2048 })
const cloud = await cloudFor({ after }, ['--outside-vaults', vault.pattern])
const azure = await Azure.in(cloud.endpoints)
const skip = noThief

async function copy(): Promise<string> {
  const { path, remove } = await copyOf(cloud.dataDir)
  after(remove)
  return path
}
const withRootKey = (folder: string, ...more: string[]): Promise<Loot> =>
  thief(folder, '--root-key', join(folder, 'root.key'), ...more)

async function enable(account: TestAccount, keyName: string, more: object = {}): Promise<number> {
  const keyVaultProperties = { keyVaultUri: vault.uri, keyName, keyVersion: '' }
  const encryption = { keySource: 'Microsoft.KeyVault', keyVaultProperties, ...more }
  const { status, body } = await account.patch({ properties: { encryption } })
  assert.equal(status, 200, JSON.stringify(body))
  return body.properties.encryption.status.earlierGenerationBlobs
}
async function reEncrypted(account: TestAccount): Promise<void> {
  for (let status = 'InProgress'; status !== 'Succeeded'; await pause(100)) {
    status = (await azure.arm('GET', `${azure.accountPath(account.name)}/reEncryption`)).body.status
    assert.notEqual(status, 'Failed')
  }
}
const prove = (name: string): Promise<string> =>
  new Promise(resolve => {
    const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
    execFile(process.execPath, [cli, 'prove', '--data-dir', cloud.dataDir, '--account', name], (_, out) => resolve(out))
  })

test(
  'K1: the folder, root.key and a backup of before enabling open nothing that was stored afterwards; re-encrypt moves the rest',
  { skip },
  async () => {
    const alpha = await azure.account('alpha')
    await alpha.upload('before enabling')
    const backup = await copy()
    assert.match(
      (await withRootKey(backup)).plaintext,
      /before enabling/,
      'the thief can open what the service’s key protects',
    )
    assert.equal((await thief(backup)).opened.length, 0, 'and nothing without root.key')
    assert.equal(await enable(alpha, 'k1'), 1)
    await alpha.upload('after enabling')
    const enabled = await copy()
    assert.equal((await withRootKey(enabled)).opened.length, 0, 'the folder alone has no key of the account left')
    const loot = await withRootKey(enabled, '--backup', backup)
    assert.match(loot.plaintext, /before enabling/)
    assert.doesNotMatch(loot.plaintext, /after enabling/)
    assert.equal((await alpha.encryption()).status.earlierGenerationBlobs, 1)
    assert.match(await prove('alpha'), /1 of 2 are still under a data key from before the present key/)
    await azure.arm('POST', `${azure.accountPath('alpha')}/reEncrypt`, {})
    await reEncrypted(alpha)
    assert.equal((await alpha.encryption()).status.earlierGenerationBlobs, 0)
    assert.doesNotMatch(await prove('alpha'), /still under/)
    assert.equal((await withRootKey(await copy(), '--backup', backup, '--backup', enabled)).opened.length, 0)
  },
)

test(
  'K1: reEncryptOnEnable moves what was stored before in one go, and is off unless asked for',
  { skip },
  async () => {
    const beta = await azure.account('beta')
    const file = await beta.upload('before, and moved')
    const backup = await copy()
    await enable(beta, 'k1', { reEncryptOnEnable: true })
    assert.equal((await beta.encryption()).reEncryptOnEnable, true)
    await reEncrypted(beta)
    assert.equal((await beta.encryption()).status.earlierGenerationBlobs, 0)
    assert.equal((await withRootKey(await copy(), '--backup', backup)).opened.length, 0)
    assert.match((await beta.download(file)).toString(), /before, and moved/)
  },
)

test(
  'K1: after disabling and enabling again, and from key to key, a new generation begins; for a new version it does not',
  { skip },
  async () => {
    const gamma = await azure.account('gamma')
    const generations = async (): Promise<number[]> => {
      const { value } = (await azure.arm('GET', `${azure.accountPath('gamma')}/protectedData`)).body
      return (value as { generation: number }[]).map(({ generation }) => generation).toSorted((a, b) => a - b)
    }
    await enable(gamma, 'k1')
    await gamma.upload('under k1')
    await enable(gamma, 'k2')
    await gamma.upload('under k2')
    assert.equal((await gamma.encrypt()).status, 200)
    await gamma.upload('disabled')
    const backup = await copy()
    assert.match((await withRootKey(backup)).plaintext, /under k1[^]*|disabled/)
    assert.equal(await enable(gamma, 'k1'), 3)
    await gamma.upload('enabled again')
    assert.deepEqual(await generations(), [2, 3, 4, 5])
    await vault.keys.rotateKey('k1')
    await enable(gamma, 'k1')
    await gamma.upload('a new version')
    assert.deepEqual(await generations(), [2, 3, 4, 5, 5])
    const loot = await withRootKey(await copy(), '--backup', backup)
    assert.doesNotMatch(loot.plaintext, /enabled again|a new version/)
  },
)

test(
  'the thief takes the keys of the folder’s own vaults, when they lie with root.key: SECURITY.md says so',
  { skip },
  async () => {
    const inside = await azure.account('inside')
    const keys = await azure.vault('kv-inside')
    await keys.createRsaKey('cmk', { keySize: 2048 })
    await azure.policy('kv-inside', 'add', inside.principalId)
    assert.equal((await inside.encrypt({ vault: 'kv-inside', name: 'cmk' })).status, 200)
    await inside.upload('under an embedded key')
    const folder = await copy()
    assert.doesNotMatch((await withRootKey(folder)).plaintext, /under an embedded key/)
    assert.match((await withRootKey(folder, '--embedded-vault')).plaintext, /under an embedded key/)
  },
)

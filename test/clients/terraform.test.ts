import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openAiClient } from '../../src/harness/azure-client.ts'
import { Azure, KEY_PERMISSIONS, TestAccount, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { officialClients } from '../support/official-clients.ts'
import { Terraform } from '../support/terraform.ts'

const terraform = await Terraform.with({ example: 'azapi', source: 'Azure/azapi', variable: 'OWNKEY_AZAPI' }, { after })
const { skip } = terraform

describe('Terraform with azapi, unmodified: examples/terraform/azapi', { concurrency: false, skip }, () => {
  const ends: (() => Promise<void>)[] = []
  let cloud: TestCloud
  let azure: Azure
  let account: TestAccount
  let fileId: string

  before(async () => {
    cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    await terraform.pointAt(cloud, ends)
    azure = new Azure(cloud.endpoints)
  })
  after(() => Promise.all(ends.map(end => end())))

  type Change = Readonly<Record<string, string>>
  const variables = (change: Change = {}): Change => ({ name: 'tfstory', ...change })
  const apply = (change?: Change) => terraform.run('apply -auto-approve', variables(change))

  it('apply: a group, an account, a vault and its policies; then there is nothing left to change · R03 R04', async () => {
    assert.match(await apply(), /4 added, 0 changed, 0 destroyed/)
    assert.equal(await terraform.output('key_source'), 'Microsoft.CognitiveServices')
    assert.equal(await terraform.output('endpoint'), `https://tfstory${cloud.endpoints.openAiSuffix}/`)
    assert.match(await terraform.run('plan -detailed-exitcode', variables()), /No changes/)
  })

  it('change: tags in place, and the account goes under the customer`s key · R15', async () => {
    const { cognitive, keysOf, keyVaults } = officialClients(cloud.endpoints)
    await keysOf('kv-tfstory').createRsaKey('at-rest', { keySize: 2048 })
    const change = { key_name: 'at-rest', tags: '{ team = "a" }' }
    assert.match(await apply(change), /0 added, 4 changed, 0 destroyed/)
    assert.equal(await terraform.output('key_source'), 'Microsoft.KeyVault')
    assert.match(await terraform.run('plan -detailed-exitcode', variables(change)), /No changes/)
    const { identity, tags } = await cognitive.accounts.get('tfstory', 'tfstory')
    assert.deepEqual(tags, { team: 'a' })
    const { properties } = await keyVaults.vaults.get('tfstory', 'kv-tfstory')
    const policy = properties.accessPolicies?.find(({ objectId }) => objectId === identity?.principalId)
    assert.deepEqual(policy?.permissions.keys?.toSorted(), KEY_PERMISSIONS.toSorted())
    const { key1 = '' } = await cognitive.accounts.listKeys('tfstory', 'tfstory')
    const openai = openAiClient(cloud.endpoints, 'tfstory', key1)
    account = new TestAccount(azure, 'tfstory', identity?.principalId ?? '', openai)
    fileId = await account.upload('by terraform')
    assert.match((await account.download(fileId)).toString(), /by terraform/)
  })

  it('change: removing a policy from the configuration revokes, putting it back restores · R19 R22', async () => {
    const file = join(terraform.dir, 'main.tf')
    const text = await readFile(file, 'utf8')
    const revoked = text.replace('["get", "wrapKey", "unwrapKey"]', '["get"]')
    assert.notEqual(revoked, text)
    const change = { key_name: 'at-rest', tags: '{ team = "a" }' }
    await writeFile(file, revoked)
    await apply(change)
    assert.equal((await untilRefused(() => account.download(fileId))).status, 403)
    await writeFile(file, text)
    await apply(change)
    await untilAllowed(() => account.download(fileId))
    await apply()
    assert.equal(await terraform.output('key_source'), 'Microsoft.CognitiveServices')
    await account.download(fileId)
  })

  it('destroy: everything goes; the vault, protected against purging, is kept as deleted · R08', async () => {
    assert.match(await terraform.run('destroy -auto-approve', variables()), /4 destroyed/)
    const { keyVaults, cognitive } = officialClients(cloud.endpoints)
    const kept: (string | undefined)[] = []
    for await (const { name } of keyVaults.vaults.listDeleted()) kept.push(name)
    assert.deepEqual(kept, ['kv-tfstory'])
    await assert.rejects(cognitive.accounts.get('tfstory', 'tfstory'), { statusCode: 404 })
  })
})

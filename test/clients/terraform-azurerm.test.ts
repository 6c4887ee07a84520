import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openAiClient } from '../../src/harness/azure-client.ts'
import { Azure, TestAccount, untilRefused } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { officialClients } from '../support/official-clients.ts'
import { Terraform } from '../support/terraform.ts'

/** It takes five minutes, most of which azurerm waits for DNS and consistency, so it runs only where the provider is named. */
const terraform = await Terraform.with(
  { example: 'azurerm', source: 'hashicorp/azurerm', variable: 'OWNKEY_AZURERM' },
  { after },
)
const skip =
  process.env['OWNKEY_AZURERM'] === undefined
    ? 'Terraform with azurerm takes five minutes: OWNKEY_AZURERM=/path/to/terraform-provider-azurerm'
    : terraform.skip

describe('Terraform with azurerm: examples/terraform/azurerm', { concurrency: false, skip, timeout: 900_000 }, () => {
  const ends: (() => Promise<void>)[] = []
  const variables = { name: 'tfrm' }
  let cloud: TestCloud
  let account: TestAccount
  let fileId: string
  before(async () => {
    cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    await terraform.pointAt(cloud, ends)
  })
  after(() => Promise.all(ends.map(end => end())))

  it('apply: the account, the vault, the key, and the account under the key; then there is nothing left to change · R15', async () => {
    assert.match(await terraform.run('apply -auto-approve', variables), /5 added, 0 changed, 0 destroyed/)
    assert.match(await terraform.run('plan -detailed-exitcode', variables), /No changes/)
    const { cognitive } = officialClients(cloud.endpoints)
    const { identity, properties } = await cognitive.accounts.get('tfrm', 'tfrm')
    assert.equal(properties?.encryption?.keySource, 'Microsoft.KeyVault')
    const { key1 = '' } = await cognitive.accounts.listKeys('tfrm', 'tfrm')
    const openai = openAiClient(cloud.endpoints, 'tfrm', key1)
    account = new TestAccount(new Azure(cloud.endpoints), 'tfrm', identity?.principalId ?? '', openai)
    fileId = await account.upload('by azurerm')
    assert.match((await account.download(fileId)).toString(), /by azurerm/)
  })

  it('change: removing a permission from the configuration revokes · R19', async () => {
    const file = join(terraform.dir, 'main.tf')
    const text = await readFile(file, 'utf8')
    const revoked = text.replace('["Get", "WrapKey", "UnwrapKey"]', '["Get"]')
    assert.notEqual(revoked, text)
    await writeFile(file, revoked)
    assert.match(await terraform.run('apply -auto-approve', variables), /0 added, 1 changed, 0 destroyed/)
    assert.equal((await untilRefused(() => account.download(fileId))).status, 403)
    await writeFile(file, text)
    await terraform.run('apply -auto-approve', variables)
    await account.download(fileId)
  })

  it('destroy: everything goes, the account purged; the vault is kept as deleted · R08 R29', async () => {
    assert.match(await terraform.run('destroy -auto-approve', variables), /5 destroyed/)
    const { keyVaults, cognitive } = officialClients(cloud.endpoints)
    const kept: (string | undefined)[] = []
    for await (const { name } of keyVaults.vaults.listDeleted()) kept.push(name)
    for await (const { name } of cognitive.deletedAccounts.list()) kept.push(name)
    assert.deepEqual(kept, ['kv-tfrm'])
  })
})

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AzureOpenAI } from 'openai'
import { AzSession, noAz } from '../support/az-session.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const wait = (seconds: number) => new Promise(resolve => setTimeout(resolve, seconds * 1000))
const names = (list: { name: string }[]): string[] => list.map(({ name }) => name)

describe('az, unmodified', { concurrency: false, skip: noAz }, () => {
  const ends: (() => Promise<void>)[] = []
  const account = '--name azaccount --resource-group azgroup'
  let az: AzSession
  let endpoint: string
  let location: string
  let subscription: string
  let appId: string
  let apiKey = ''
  let principal = ''

  before(async () => {
    const cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    const { openAiSuffix, subscriptionId, administrator } = cloud.endpoints
    ;({ location } = cloud.endpoints)
    endpoint = `https://azaccount${openAiSuffix}`
    subscription = subscriptionId
    appId = administrator.clientId
    az = await AzSession.in(cloud, ends)
  })
  after(() => Promise.all(ends.map(end => end())))

  /** `az cognitiveservices account <command> --name azaccount --resource-group azgroup ...` */
  const on = (command: string, ...more: string[]) => {
    const verb = /^(?:(?:keys|identity|deployment|network-rule) )?[a-z-]+/.exec(command)?.[0] ?? ''
    return az.run(`cognitiveservices account ${verb} ${account}${command.slice(verb.length)}`, ...more)
  }

  it('account: list, show, set; the cloud is one of its own', async () => {
    const shown = await az.run('account show')
    assert.deepEqual([shown.environmentName, shown.state, shown.id], ['OwnKey', 'Enabled', subscription])
    assert.deepEqual(shown.user, { name: appId, type: 'servicePrincipal' })
    assert.deepEqual(names(await az.run('account list')), [shown.name])
    await az.run(`account set --subscription ${subscription}`)
    assert.ok(names(await az.run('account list-locations')).includes(location))
    await assert.rejects(az.run('account set --subscription 11111111-2222-3333-4444-555555555555'), /doesn't exist/)
  })

  it('group: create, update, show, list, exists', async () => {
    await az.run(`group create --name azgroup --location ${location}`)
    assert.deepEqual((await az.run('group update --name azgroup --tags a=b')).tags, { a: 'b' })
    assert.equal((await az.run('group show --name AZGROUP')).name, 'azgroup')
    assert.deepEqual(names(await az.run('group list')), ['azgroup'])
    assert.deepEqual(names(await az.run('group list --tag a=b')), ['azgroup'])
    assert.equal(await az.run('group exists --name none'), false)
    await assert.rejects(az.run('group show --name none'), /ResourceGroupNotFound/)
  })

  it('cognitiveservices account: create, show, list, keys, models, skus, usage', async () => {
    const made = await on(`create --location ${location} --kind OpenAI --sku S0 --custom-domain azaccount --yes`)
    assert.equal(made.properties.provisioningState, 'Succeeded')
    assert.equal((await on('show')).properties.encryption.keySource, 'Microsoft.CognitiveServices')
    assert.deepEqual(names(await az.run('cognitiveservices account list')), ['azaccount'])
    assert.deepEqual(names(await az.run('cognitiveservices account list --resource-group azgroup')), ['azaccount'])
    assert.deepEqual((await on('update --tags team=a')).tags, { team: 'a' })
    const keys = await on('keys list')
    apiKey = keys.key2
    assert.notEqual((await on('keys regenerate --key-name key1')).key1, keys.key1)
    assert.ok((await on('list-models')).length > 0)
    assert.equal((await on('list-skus')).value[0].sku.name, 'S0')
    const kinds = await az.run(`cognitiveservices account list-skus --kind OpenAI --location ${location}`)
    assert.equal(kinds[0].name, 'S0')
    assert.ok((await az.run('cognitiveservices account list-kinds')).includes('OpenAI'))
    assert.ok((await on('list-usage')).length > 0)
    assert.ok((await az.run(`cognitiveservices usage list --location ${location}`)).length > 0)
    assert.ok((await az.run(`cognitiveservices model list --location ${location}`)).length > 0)
  })

  it('cognitiveservices account identity: assign, show, remove; each assignment makes another identity', async () => {
    const first = await on('identity assign')
    assert.equal((await on('identity show')).principalId, first.principalId)
    await on('identity remove')
    assert.deepEqual([(await on('identity show')).type, (await on('show')).identity.principalId], ['None', null])
    principal = (await on('identity assign')).principalId
    assert.notEqual(principal, first.principalId)
  })

  it('cognitiveservices account network-rule and rest: a rule denies the rest, and a PATCH lets everybody in again', async () => {
    await on('network-rule add --ip-address 203.0.113.7')
    assert.equal((await on('network-rule list')).ipRules.length, 1)
    await on('network-rule remove --ip-address 203.0.113.7')
    // az sets defaultAction to Deny with the first rule, and has no command that resets it.
    const body = JSON.stringify({ properties: { networkAcls: { defaultAction: 'Allow' } } })
    const { id } = await on('show')
    const patched = await az.run(`rest --method patch --url ${id}?api-version=2025-09-01 --body`, body)
    assert.equal(patched.properties.networkAcls.defaultAction, 'Allow')
    assert.equal((await az.run(`rest --method get --url ${id}?api-version=2025-09-01`)).id, id)
    await assert.rejects(az.run(`rest --method get --url ${id}?api-version=1999-01-01`), /api-version/)
  })

  it('cognitiveservices account deployment: create, show, list, delete', async () => {
    const name = '--deployment-name base'
    const model = '--model-name gpt-4o-mini --model-version 1 --model-format OpenAI'
    const made = await on(`deployment create ${name} ${model} --sku-name Standard --sku-capacity 2`)
    assert.equal(made.sku.capacity, 2)
    assert.equal((await on(`deployment show ${name}`)).name, 'base')
    assert.deepEqual(names(await on('deployment list')), ['base'])
    await on(`deployment delete ${name}`)
    assert.deepEqual(await on('deployment list'), [])
  })

  it('role: definitions; assignments are created by object id and by application, listed and deleted', async () => {
    const [officer] = await az.run('role definition list --name', 'Key Vault Crypto Officer')
    assert.equal(officer.name, '14b46e9e-c2b7-41b4-b07b-48a6ebf60603')
    assert.ok((await az.run('role definition list')).length > 10)
    const scope = (await az.run('group show --name azgroup')).id
    const reader = `--role Reader --scope ${scope}`
    await az.run(
      `role assignment create --assignee-object-id ${principal} --assignee-principal-type ServicePrincipal ${reader}`,
    )
    await az.run(`role assignment create --assignee ${appId} ${reader}`)
    const held = await az.run(`role assignment list --scope ${scope}`)
    assert.equal(held.length, 2)
    assert.deepEqual([held[0].roleDefinitionName, held[1].roleDefinitionName], ['Reader', 'Reader'])
    assert.equal((await az.run(`role assignment list --assignee ${principal} --all`)).length, 1)
    await az.run(`role assignment delete --assignee ${principal} ${reader}`)
    await az.run(`role assignment delete --assignee ${appId} ${reader}`)
    assert.deepEqual(await az.run(`role assignment list --scope ${scope}`), [])
  })

  it('resource: list, tag, move there and back; provider: show', async () => {
    const [{ id }] = await az.run('resource list --resource-group azgroup')
    assert.equal((await az.run('resource list --resource-type Microsoft.CognitiveServices/accounts')).length, 1)
    await az.run(`group create --name other --location ${location}`)
    await az.run(`resource move --destination-group other --ids ${id}`)
    const there = id.replace('/azgroup/', '/other/')
    assert.deepEqual((await az.run(`tag create --resource-id ${there} --tags z=1`)).properties.tags, { z: '1' })
    await az.run(`resource move --destination-group azgroup --ids ${there}`)
    assert.equal((await az.run(`resource show --ids ${id}`)).tags.z, '1')
    await az.run('group delete --name other --yes')
    assert.equal((await az.run('provider show --namespace Microsoft.KeyVault')).registrationState, 'Registered')
  })

  it("the article's steps: vault, key, policy, customer-managed key; delete-policy revokes the download, and set-policy gives it back · R05 R11 R15 R19 R22", async () => {
    const vault = '--name azvault'
    const inVault = '--vault-name azvault --name at-rest'
    await az.run(
      `keyvault create ${vault} --resource-group azgroup --location ${location} --enable-rbac-authorization false --enable-purge-protection true`,
    )
    await az.run(`keyvault set-policy ${vault} --spn ${appId} --key-permissions all`)
    const grant = () =>
      az.run(`keyvault set-policy ${vault} --object-id ${principal} --key-permissions get wrapKey unwrapKey`)
    await grant()
    const { key } = await az.run(`keyvault key create ${inVault} --kty RSA --size 2048`)
    const keyVaultProperties = {
      keyVaultUri: `${new URL(key.kid).origin}/`,
      keyName: 'at-rest',
      keyVersion: key.kid.split('/').at(-1),
    }
    const update = (encryption: object) => on('update --encryption', JSON.stringify(encryption))
    await update({ keySource: 'Microsoft.KeyVault', keyVaultProperties })
    assert.equal((await on('show')).properties.encryption.keySource, 'Microsoft.KeyVault')
    const client = new AzureOpenAI({ endpoint, apiKey, apiVersion: '2024-10-21', maxRetries: 0 })
    const text = Array.from(
      { length: 12 },
      () => '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
    ).join('\n')
    const file = await client.files.create({ file: new File([text], 'a.jsonl'), purpose: 'fine-tune' })
    const download = async () => (await client.files.content(file.id)).text()
    const revokedBy = async (command: string, restore: () => Promise<unknown>) => {
      assert.equal(await download(), text)
      await az.run(command)
      await wait(LEASE_SECONDS + 0.3)
      await assert.rejects(download(), { status: 403 }, command)
      await restore()
      await wait(LEASE_SECONDS + 0.3)
      assert.equal(await download(), text, command)
    }
    await revokedBy(`keyvault delete-policy ${vault} --object-id ${principal}`, grant)
    await revokedBy(`keyvault key delete ${inVault}`, () => az.run(`keyvault key recover ${inVault}`))
    const attributes = `keyvault key set-attributes ${inVault} --enabled`
    await revokedBy(`${attributes} false`, () => az.run(`${attributes} true`))
    await update({ keySource: 'Microsoft.CognitiveServices' })
    assert.equal((await on('show')).properties.encryption.keySource, 'Microsoft.CognitiveServices')
    await az.run(`keyvault key delete ${inVault}`)
    await wait(LEASE_SECONDS + 0.3)
    assert.equal(await download(), text, "under Microsoft's keys again, the customer's are not needed")
  })

  it('cognitiveservices account: delete, list-deleted, recover, purge; group delete takes the rest along', async () => {
    await on('delete')
    assert.deepEqual(names(await az.run('cognitiveservices account list-deleted')), ['azaccount'])
    assert.equal((await on(`show-deleted --location ${location}`)).name, 'azaccount')
    await on(`recover --location ${location}`)
    assert.equal((await on('show')).name, 'azaccount')
    await on('delete')
    await on(`purge --location ${location}`)
    assert.deepEqual(await az.run('cognitiveservices account list-deleted'), [])
    await az.run('group delete --name azgroup --yes')
    assert.deepEqual(names(await az.run('keyvault list-deleted')), ['azvault'])
    assert.deepEqual(await az.run('group list'), [])
  })
})

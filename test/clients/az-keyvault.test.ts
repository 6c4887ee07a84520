import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AzSession, noAz } from '../support/az-session.ts'
import { cloudFor } from '../support/cloud.ts'

const names = (list: { name: string }[]): string[] => list.map(({ name }) => name)

describe('az keyvault, unmodified', { concurrency: false, skip: noAz }, () => {
  const ends: (() => Promise<void>)[] = []
  const vault = '--name az-vault'
  let az: AzSession
  let place: string
  let subscription: string
  let appId: string

  before(async () => {
    const cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    az = await AzSession.in(cloud, ends)
    subscription = cloud.endpoints.subscriptionId
    appId = cloud.endpoints.administrator.clientId
    place = `--resource-group vaults --location ${cloud.endpoints.location}`
    await az.run(`group create --name vaults --location ${cloud.endpoints.location}`)
  })
  after(() => Promise.all(ends.map(end => end())))

  it('create: soft delete is on, and the creator has every permission', async () => {
    const { properties } = await az.run(
      `keyvault create ${vault} ${place} --enable-rbac-authorization false --retention-days 7 --tags a=1`,
    )
    const { enableSoftDelete, softDeleteRetentionInDays, enablePurgeProtection, accessPolicies } = properties
    assert.deepEqual([enableSoftDelete, softDeleteRetentionInDays, enablePurgeProtection], [true, 7, null])
    assert.deepEqual(accessPolicies[0].permissions.keys, ['all'])
  })

  it('create: roles decide where nothing is said, and a name is taken once in the whole cloud', async () => {
    const { properties } = await az.run(`keyvault create --name az-roles ${place} --sku premium`)
    assert.deepEqual([properties.enableRbacAuthorization, properties.accessPolicies], [true, []])
    await az.run('group create --name another --location westeurope')
    const again = `keyvault create --name AZ-ROLES --resource-group another --location westeurope`
    await assert.rejects(az.run(again), /VaultAlreadyExists/)
  })

  it('show and list: in the subscription, in the group, by name alone', async () => {
    assert.equal((await az.run(`keyvault show ${vault}`)).name, 'az-vault')
    assert.equal((await az.run('keyvault show --name AZ-VAULT --resource-group VAULTS')).name, 'az-vault')
    assert.deepEqual(names(await az.run('keyvault list')).toSorted(), ['az-roles', 'az-vault'])
    assert.deepEqual(names(await az.run('keyvault list --resource-group another')), [])
    await assert.rejects(az.run('keyvault show --name nowhere'), /not found within subscription/)
    await az.run(`keyvault wait ${vault} --exists`)
  })

  it('update and network-rule: what is not named stays', async () => {
    const updated = await az.run(`keyvault update ${vault} --bypass None --default-action Deny --set tags.b=two`)
    assert.deepEqual(updated.tags, { a: '1', b: 'two' })
    assert.deepEqual(updated.properties.accessPolicies[0].permissions.keys, ['all'])
    await az.run(`keyvault network-rule add ${vault} --ip-address 203.0.113.0/24 198.51.100.7`)
    const rules = await az.run(`keyvault network-rule list ${vault}`)
    assert.deepEqual(rules.ipRules, [{ value: '203.0.113.0/24' }, { value: '198.51.100.7' }])
    assert.deepEqual([rules.bypass, rules.defaultAction], ['None', 'Deny'])
    await assert.rejects(az.run('keyvault key list --vault-name az-vault'), /Client address is not authorized/)
    await az.run(`keyvault network-rule remove ${vault} --ip-address 203.0.113.0/24`)
    assert.equal((await az.run(`keyvault network-rule list ${vault}`)).ipRules.length, 1)
    await az.run(`keyvault update ${vault} --default-action Allow --bypass AzureServices`)
    assert.deepEqual(await az.run('keyvault key list --vault-name az-vault'), [])
  })

  it('set-policy and delete-policy: by application and by object id; refused where roles decide', async () => {
    const { properties } = await az.run(`keyvault set-policy ${vault} --spn ${appId} --key-permissions get list`)
    const [{ objectId, permissions }] = properties.accessPolicies
    assert.deepEqual(permissions.keys.toSorted(), ['get', 'list'])
    const create = 'keyvault key create --vault-name az-vault --name no --kty RSA'
    await assert.rejects(az.run(create), /does not have keys create permission/)
    await az.run(`keyvault delete-policy ${vault} --object-id ${objectId}`)
    await assert.rejects(az.run('keyvault key list --vault-name az-vault'), /does not have keys list permission/)
    await assert.rejects(az.run(`keyvault delete-policy ${vault} --spn ${appId}`), /No matching policies found/)
    await az.run(`keyvault set-policy ${vault} --spn ${appId} --key-permissions all`)
    const roles = `keyvault set-policy --name az-roles --spn ${appId} --key-permissions all`
    await assert.rejects(az.run(roles), /--enable-rbac-authorization/)
  })

  it('check-name: az only asks about managed HSMs, which are not here; for vaults there is az rest', async () => {
    const hsm = await az.run('keyvault check-name --name az-free')
    assert.equal(hsm.nameAvailable, false)
    assert.match(hsm.message, /no managed HSMs here/)
    const url = `/subscriptions/${subscription}/providers/Microsoft.KeyVault/checkNameAvailability?api-version=2023-07-01`
    const ask = async (name: string) =>
      az.run(`rest --method post --url ${url} --body`, JSON.stringify({ name, type: 'Microsoft.KeyVault/vaults' }))
    assert.equal((await ask('az-free')).nameAvailable, true)
    assert.equal((await ask('az-vault')).reason, 'AlreadyExists')
    assert.equal((await ask('-')).reason, 'AccountNameInvalid')
  })

  it('delete, list-deleted, show-deleted, recover, purge: with its keys', async () => {
    await az.run('keyvault key create --vault-name az-vault --name stays --kty RSA')
    await az.run(`keyvault delete ${vault}`)
    await assert.rejects(az.run('keyvault key list --vault-name az-vault'))
    assert.deepEqual(names(await az.run('keyvault list-deleted')), ['az-vault'])
    const { properties } = await az.run(`keyvault show-deleted ${vault}`)
    const days = (Date.parse(properties.scheduledPurgeDate) - Date.parse(properties.deletionDate)) / 86_400_000
    assert.equal(days, 7)
    await assert.rejects(az.run(`keyvault create ${vault} ${place}`), /already exists in deleted state/)
    await az.run(`keyvault recover ${vault}`)
    assert.deepEqual(names(await az.run('keyvault key list --vault-name az-vault')), ['stays'])
    await az.run(`keyvault delete ${vault}`)
    await az.run(`keyvault purge ${vault}`)
    assert.deepEqual(await az.run('keyvault list-deleted'), [])
  })

  it('a vault with purge protection stays until its time has come · R08', async () => {
    await az.run(`keyvault update --name az-roles --enable-purge-protection true`)
    const off = 'keyvault update --name az-roles --enable-purge-protection false'
    await assert.rejects(az.run(off), /irreversible/)
    await az.run('keyvault delete --name az-roles')
    await assert.rejects(az.run('keyvault purge --name az-roles'), /MethodNotAllowed/)
    await az.run('group delete --name another --yes')
  })
})

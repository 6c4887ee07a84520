import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Scene } from '../../src/harness/scene.ts'
import { LEASE_SECONDS, sceneFor } from '../support/cloud.ts'
import { administratorOf, assign, newPrincipal, newTenant, ROLES, type Client } from './arm.fixture.ts'

const ALIAS = '/providers/Microsoft.Subscription/aliases'

describe('Subscriptions', { concurrency: false }, () => {
  let admin: Client
  let scene: Scene
  let keyVersion: string
  let sub: string
  let location: string
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    const made = await sceneFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    scene = made.scene
    keyVersion = made.keyVersion
    admin = await administratorOf(scene.endpoints)
    sub = `/subscriptions/${scene.endpoints.subscriptionId}`
    location = scene.endpoints.location
  })
  after(() => Promise.all(ends.map(end => end())))

  const create = async (by: Client, alias: string): Promise<string> => {
    const made = await by.arm('PUT', `${ALIAS}/${alias}`, {
      properties: { displayName: alias, workload: 'Production' },
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    return made.body.properties.subscriptionId
  }

  it('the metadata has the forms that older and newer clients read', async () => {
    const { resourceManager, authority, keyVaultSuffix } = scene.endpoints
    const ask = async (query: string) => {
      const response = await fetch(`${resourceManager}/metadata/endpoints${query}`)
      // oxlint-disable-next-line typescript/no-explicit-any -- tests read responses of every shape
      return { status: response.status, body: (await response.json()) as any }
    }
    const oldest = await ask('?api-version=2015-01-01')
    assert.equal(oldest.body.authentication.loginEndpoint, authority)
    assert.deepEqual(await ask(''), oldest)
    const [listed] = (await ask('?api-version=2019-05-01')).body
    const { body: newest } = await ask('?api-version=2022-09-01')
    assert.deepEqual(newest, listed)
    assert.deepEqual([newest.name, newest.resourceManager], ['OwnKey', resourceManager])
    assert.equal(`.${newest.suffixes.keyVaultDns}`, keyVaultSuffix)
    assert.match(newest.suffixes.storage, /^storage\./, 'azurerm does not begin without one')
    assert.equal((await ask('?api-version=newest')).status, 400)
  })

  it('a tenant has several, each with groups of its own; the same alias gives the same one again', async () => {
    const id = await create(admin, 'Second')
    const again = await admin.arm('PUT', `${ALIAS}/second`, { properties: { displayName: 'Other' } })
    assert.deepEqual([again.status, again.body.properties.subscriptionId, again.body.name], [200, id, 'Second'])
    const listed = (await admin.arm('GET', '/subscriptions')).body.value
    assert.deepEqual(listed.map((one: { displayName: string }) => one.displayName).sort(), ['OwnKey', 'Second'])
    await admin.arm('PUT', `/subscriptions/${id}/resourceGroups/only-here`, { location })
    assert.equal((await admin.arm('GET', `${sub}/resourceGroups/only-here`)).status, 404)
    const someone = await newPrincipal(admin, admin, 'nobody')
    assert.equal((await someone.arm('PUT', `${ALIAS}/mine`, { properties: {} })).status, 403)
    assert.equal((await admin.arm('DELETE', `${ALIAS}/second`)).status, 200)
    assert.equal((await admin.arm('GET', `/subscriptions/${id}`)).status, 200)
  })

  it('renamed, cancelled and enabled again; a cancelled one is read only', async () => {
    const id = await create(admin, 'third')
    const at = `/subscriptions/${id}`
    const change = async (verb: string, body?: object) =>
      (await admin.arm('POST', `${at}/providers/Microsoft.Subscription/${verb}`, body)).status
    const account = `${at}/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/cancelled`
    await admin.arm('PUT', `${at}/resourceGroups/rg`, { location })
    const { endpoint } = (await admin.arm('PUT', account, { location, kind: 'OpenAI', sku: { name: 'S0' } })).body
      .properties
    await assign(admin, at, admin.objectId, ROLES.openAiUser)
    assert.equal(await change('rename', { subscriptionName: 'Renamed' }), 200)
    assert.equal((await admin.arm('GET', at)).body.displayName, 'Renamed')
    assert.equal((await admin.data('GET', `${endpoint}openai/v1/models`)).status, 200)
    assert.equal(await change('cancel'), 200)
    assert.equal((await admin.arm('GET', at)).body.state, 'Disabled')
    const refused = await admin.arm('PUT', `${at}/resourceGroups/new`, { location })
    assert.deepEqual([refused.status, refused.body.error.code], [409, 'ReadOnlyDisabledSubscription'])
    assert.equal((await admin.arm('POST', `${account}/listKeys`)).status, 409)
    assert.equal((await admin.arm('GET', account)).status, 200)
    assert.equal((await admin.data('GET', `${endpoint}openai/v1/models`)).status, 403)
    assert.equal(await change('enable'), 200)
    assert.equal((await admin.data('GET', `${endpoint}openai/v1/models`)).status, 200)
  })

  it('only its owner offers it to another tenant, and only the principal that they name there can accept', async () => {
    const id = await create(admin, 'offered')
    const path = `/subscriptions/${id}/providers/Microsoft.Subscription/changeTenant`
    const fabrikam = await newTenant(admin, 'Fabrikam')
    const other = await newPrincipal(admin, fabrikam, 'other')
    const properties = { destinationTenantId: fabrikam.login.tenantId, destinationOwnerId: fabrikam.objectId }
    for (const role of [ROLES.contributor, ROLES.userAccessAdministrator]) {
      const someone = await newPrincipal(admin, admin, 'not the owner')
      await assign(admin, `/subscriptions/${id}`, someone.objectId, role)
      assert.equal((await someone.arm('POST', path, { properties })).status, 403)
    }
    const accept = `/providers/Microsoft.Subscription/subscriptions/${id}`
    assert.equal((await fabrikam.arm('POST', `${accept}/acceptOwnership`, {})).body.error.code, 'TransferNotOffered')
    const stranger = { properties: { ...properties, destinationOwnerId: admin.objectId } }
    assert.equal((await admin.arm('POST', path, stranger)).body.error.code, 'PrincipalNotFound')
    assert.equal((await admin.arm('POST', path, { properties })).status, 202)
    assert.equal((await other.arm('POST', `${accept}/acceptOwnership`, {})).status, 403)
    assert.equal((await fabrikam.arm('GET', `${accept}/acceptOwnershipStatus`)).body.acceptOwnershipState, 'Pending')
    assert.equal((await fabrikam.arm('GET', `/subscriptions/${id}`)).status, 401)
    assert.equal((await fabrikam.arm('POST', `${accept}/acceptOwnership`, {})).status, 200)
    assert.equal((await fabrikam.arm('GET', `/subscriptions/${id}`)).body.tenantId, fabrikam.login.tenantId)
    assert.equal((await other.arm('GET', `/subscriptions/${id}`)).status, 403)
  })

  it('moved to another tenant, roles vanish, the identity stays behind and the data is out of reach until that is fixed · R32', async () => {
    const account = `${sub}/resourceGroups/demo/providers/Microsoft.CognitiveServices/accounts/contoso`
    const vault = `${sub}/resourceGroups/demo/providers/Microsoft.KeyVault/vaults/contoso-keys`
    await scene.setEncryption(keyVersion)
    const examples = Array.from(
      { length: 12 },
      () => '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
    ).join('\n')
    const file = await scene.openai.files.create({ file: new File([examples], 'a.jsonl'), purpose: 'fine-tune' })
    const content = async (): Promise<string> => (await scene.openai.files.content(file.id)).text()
    const refusal = () =>
      content().then(
        () => 'readable',
        (error: { status: number; error: { innererror: { code: string }; message: string } }) => error,
      )
    assert.equal(await content(), examples)
    const model = { format: 'OpenAI', name: 'gpt-4o-mini', version: '1' }
    await admin.arm('PUT', `${account}/deployments/base`, {
      sku: { name: 'Standard', capacity: 1 },
      properties: { model },
    })
    const reader = await newPrincipal(admin, admin, 'reader')
    await assign(admin, `${sub}/resourceGroups/demo`, reader.objectId, ROLES.reader)
    const fabrikam = await newTenant(admin, 'Fabrikam')

    const properties = { destinationTenantId: fabrikam.login.tenantId, destinationOwnerId: fabrikam.objectId }
    const validate = `${sub}/providers/Microsoft.Subscription/validateChangeTenant`
    const preflight = await admin.arm('POST', validate, { properties })
    assert.equal(preflight.status, 200, JSON.stringify(preflight.body))
    const foretold = (code: string): string[] =>
      preflight.body.findings
        .filter((one: { code: string }) => one.code === code)
        .map((one: { target: string; message: string }) => `${one.target} ${one.message}`)
    assert.ok(foretold('RoleAssignmentRemoved').some(text => text.includes(reader.objectId) && /'Reader'/.test(text)))
    assert.match(foretold('IdentityLeftBehind').join(), new RegExp(`accounts/contoso .*${scene.principalId} stays`))
    assert.match(foretold('VaultKeepsTenant').join(), new RegExp(`vaults/contoso-keys .*${admin.login.tenantId}`))
    assert.match(foretold('CustomerManagedKeyStops').join(), /accounts\/contoso The key in https:/)
    assert.match(foretold('DeploymentKeepsServing').join(), /contoso\/deployments\/base /)
    assert.equal(preflight.body.counts.VaultKeepsTenant, foretold('VaultKeepsTenant').length)
    assert.equal((await reader.arm('POST', validate, { properties })).status, 403)
    const nowhere = { properties: { destinationTenantId: crypto.randomUUID() } }
    assert.equal((await admin.arm('POST', validate, nowhere)).body.error.code, 'TenantNotFound')
    assert.equal(await content(), examples)

    assert.equal(
      (await admin.arm('POST', `${sub}/providers/Microsoft.Subscription/changeTenant`, { properties })).status,
      202,
    )
    const id = scene.endpoints.subscriptionId
    assert.equal(
      (await fabrikam.arm('POST', `/providers/Microsoft.Subscription/subscriptions/${id}/acceptOwnership`, {})).status,
      200,
    )

    assert.equal((await admin.arm('GET', account)).body.error.code, 'InvalidAuthenticationTokenTenant')
    assert.equal((await reader.arm('GET', account)).status, 401)
    const roles = await fabrikam.arm('GET', `${sub}/providers/Microsoft.Authorization/roleAssignments`)
    const principals = new Set(
      roles.body.value.map((one: { properties: { principalId: string } }) => one.properties.principalId),
    )
    assert.deepEqual([...principals], [fabrikam.objectId])
    const left = (await fabrikam.arm('GET', account)).body.identity
    assert.deepEqual([left.principalId, left.tenantId], [scene.principalId, admin.login.tenantId])
    assert.equal((await fabrikam.arm('GET', vault)).body.properties.tenantId, admin.login.tenantId)

    // At once and not only after the lease, since tokens of the old tenant are forgotten.
    const refused = await refusal()
    assert.ok(typeof refused !== 'string')
    assert.equal(refused.status, 403)
    assert.equal(refused.error.innererror.code, 'IdentityLeftBehind')
    assert.match(refused.error.message, /moved to another tenant.*identity off and on again.*tenantId/)
    assert.notEqual(await scene.chat('base', 'Hello'), undefined)

    await fabrikam.arm('PATCH', account, { identity: { type: 'None' } })
    const { identity } = (await fabrikam.arm('PATCH', account, { identity: { type: 'SystemAssigned' } })).body
    assert.equal(identity.tenantId, fabrikam.login.tenantId)
    assert.notEqual(identity.principalId, scene.principalId)
    const permissions = { keys: ['get', 'wrapKey', 'unwrapKey'] }
    const accessPolicies = [{ tenantId: fabrikam.login.tenantId, objectId: identity.principalId, permissions }]
    const fixed = await fabrikam.arm('PATCH', vault, {
      properties: { tenantId: fabrikam.login.tenantId, accessPolicies },
    })
    assert.equal(fixed.status, 200, JSON.stringify(fixed.body))
    await new Promise(resolve => setTimeout(resolve, LEASE_SECONDS * 1000 + 200))
    assert.equal(await content(), examples)
  })
})

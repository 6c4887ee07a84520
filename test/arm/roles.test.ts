import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cloudFor } from '../support/cloud.ts'
import { administratorOf, assign, newPrincipal, newTenant, ROLES, type Client } from './arm.fixture.ts'

describe('Roles over HTTP', { concurrency: false }, () => {
  let admin: Client
  let sub: string
  let location: string
  let account: string
  let endpoint: string
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    const cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    admin = await administratorOf(cloud.endpoints)
    sub = `/subscriptions/${cloud.endpoints.subscriptionId}`
    location = cloud.endpoints.location
    await admin.arm('PUT', `${sub}/resourceGroups/rg`, { location })
    account = `${sub}/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/roles`
    const made = await admin.arm('PUT', account, { location, kind: 'OpenAI', sku: { name: 'S0' } })
    endpoint = made.body.properties.endpoint
    const model = { format: 'OpenAI', name: 'gpt-4o-mini', version: '1' }
    assert.equal(
      (
        await admin.arm('PUT', `${account}/deployments/base`, {
          sku: { name: 'Standard', capacity: 1 },
          properties: { model },
        })
      ).status,
      201,
    )
  })
  after(() => Promise.all(ends.map(end => end())))

  /** Each ARM action, as a request that changes nothing where it is allowed. */
  const requests = (): Record<string, [string, string, unknown?]> => ({
    'read group': ['GET', `${sub}/resourceGroups/rg`],
    'write group': ['PUT', `${sub}/resourceGroups/rg`, { location }],
    'delete group': ['DELETE', `${sub}/resourceGroups/none`],
    'read account': ['GET', account],
    'write account': ['PATCH', account, {}],
    'delete account': ['DELETE', `${account}-none`],
    'list keys': ['POST', `${account}/listKeys`],
    'read deployments': ['GET', `${account}/deployments`],
    'delete deployment': ['DELETE', `${account}/deployments/none`],
    'read models': ['GET', `${account}/models`],
    'read deleted accounts': ['GET', `${sub}/providers/Microsoft.CognitiveServices/deletedAccounts`],
    'purge account': [
      'DELETE',
      `${sub}/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/rg/deletedAccounts/none`,
    ],
    'read vaults': ['GET', `${sub}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults`],
    'delete vault': ['DELETE', `${sub}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/vault-none`],
    'purge vault': ['POST', `${sub}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/vault-none/purge`],
    'read tags': ['GET', `${sub}/resourceGroups/rg/providers/Microsoft.Resources/tags/default`],
    'write tags': [
      'PUT',
      `${sub}/resourceGroups/rg/providers/Microsoft.Resources/tags/default`,
      { properties: { tags: {} } },
    ],
    'move resources': [
      'POST',
      `${sub}/resourceGroups/rg/moveResources`,
      { resources: [account], targetResourceGroup: `${sub}/resourceGroups/none` },
    ],
    'read assignments': ['GET', `${sub}/providers/Microsoft.Authorization/roleAssignments`],
    'delete assignment': [
      'DELETE',
      `${sub}/providers/Microsoft.Authorization/roleAssignments/11111111-1111-4111-8111-111111111111`,
    ],
    rename: ['POST', `${sub}/providers/Microsoft.Subscription/rename`, { subscriptionName: 'OwnKey' }],
    'create subscription': ['DELETE', '/providers/Microsoft.Subscription/aliases/none'],
  })

  /** The actions that stay possible. All others get 403 AuthorizationFailed. */
  const everything = Object.keys(requests())
  const reads = [
    'read group',
    'read account',
    'read deployments',
    'read models',
    'read deleted accounts',
    'read vaults',
    'read tags',
    'read assignments',
  ]
  const accounts = [
    'read account',
    'write account',
    'delete account',
    'list keys',
    'read deployments',
    'delete deployment',
    'read models',
    'read deleted accounts',
    'purge account',
  ]
  const allowed = (): Record<string, readonly string[]> => ({
    none: [],
    owner: everything.filter(name => name !== 'create subscription'),
    contributor: everything.filter(name => !['create subscription', 'delete assignment'].includes(name)),
    reader: reads,
    userAccessAdministrator: [...reads, 'delete assignment'],
    cognitiveServicesContributor: [...accounts, 'read group', 'read tags', 'read assignments'],
    openAiContributor: [
      'read account',
      'read deployments',
      'delete deployment',
      'read models',
      'read deleted accounts',
      'read assignments',
    ],
    openAiUser: ['read account', 'read deployments', 'read models', 'read deleted accounts', 'read assignments'],
    keyVaultContributor: ['read group', 'read vaults', 'delete vault', 'read tags', 'read assignments'],
  })

  it('each role allows the same actions as on Azure', async () => {
    for (const [role, names] of Object.entries(allowed())) {
      const someone = await newPrincipal(admin, admin, role)
      if (role !== 'none')
        assert.equal((await assign(admin, sub, someone.objectId, ROLES[role as keyof typeof ROLES])).status, 201)
      const may: string[] = []
      for (const [name, [method, path, body]] of Object.entries(requests())) {
        const reply = await someone.arm(method, path, body)
        const isRefused = reply.status === 403
        if (isRefused) assert.equal(reply.body.error.code, 'AuthorizationFailed')
        if (isRefused) assert.ok(reply.body.error.message.includes(someone.objectId))
        assert.ok(reply.status < 500, `${role}: ${name} ${reply.status}`)
        if (name === 'move resources' && isRefused && /resourceGroups\/write/.test(reply.body.error.message)) continue
        if (!isRefused) may.push(name)
      }
      assert.deepEqual(may.sort(), [...names].sort(), role)
    }
  })

  it('each data action of Azure OpenAI asks for its role, however the account is reached · R27', async () => {
    const chat = { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 1 }
    const data: Record<string, [string, string, unknown?]> = {
      'list files': ['GET', 'openai/v1/files'],
      'read file': ['GET', 'openai/v1/files/file-00000000000000000000000000000000'],
      'delete file': ['DELETE', 'openai/v1/files/file-00000000000000000000000000000000'],
      'list jobs': ['GET', 'openai/v1/fine_tuning/jobs'],
      'create job': ['POST', 'openai/v1/fine_tuning/jobs', { model: 'gpt-4o-mini', training_file: 'file-0' }],
      'list models': ['GET', 'openai/v1/models'],
      'delete model': ['DELETE', 'openai/v1/models/none'],
      chat: ['POST', 'openai/deployments/base/chat/completions?api-version=2024-10-21', chat],
    }
    const user = ['list files', 'read file', 'list jobs', 'list models', 'chat']
    const expected = {
      none: [],
      owner: [],
      reader: [],
      cognitiveServicesContributor: [],
      openAiContributor: Object.keys(data),
      openAiUser: user,
    }
    for (const [role, names] of Object.entries(expected)) {
      const someone = await newPrincipal(admin, admin, role)
      if (role !== 'none') await assign(admin, account, someone.objectId, ROLES[role as keyof typeof ROLES])
      const may: string[] = []
      for (const [name, [method, path, body]] of Object.entries(data)) {
        const { status, body: answer } = await someone.data(method, endpoint + path, body)
        if (status === 401) assert.match(JSON.stringify(answer), /lacks the required data action/)
        else may.push(name)
      }
      assert.deepEqual(may.sort(), [...names].sort(), role)
    }
  })

  it('a role holds at its scope and below', async () => {
    for (const scope of [sub, `${sub}/resourceGroups/RG`, account.toUpperCase()]) {
      const someone = await newPrincipal(admin, admin, 'inherits')
      await assign(admin, scope, someone.objectId, ROLES.reader)
      assert.equal((await someone.arm('GET', account)).status, 200, scope)
      assert.equal((await someone.arm('GET', `${account}/deployments/base`)).status, 200, scope)
    }
    const someone = await newPrincipal(admin, admin, 'beside')
    await assign(admin, account, someone.objectId, ROLES.reader)
    assert.equal((await someone.arm('GET', `${sub}/resourceGroups/rg`)).status, 403)
    assert.equal((await someone.arm('GET', `${account}2`)).status, 403)
    const listed = await someone.arm('GET', `${sub}/resources`)
    assert.deepEqual(
      listed.body.value.map((one: { id: string }) => one.id),
      [account],
    )
    assert.equal((await someone.arm('GET', '/subscriptions')).body.value.length, 1)
    assert.deepEqual((await someone.arm('GET', `${sub}/resourcegroups`)).body.value, [])
  })

  it('assignments are created once, listed by scope and principal, and removed', async () => {
    const someone = await newPrincipal(admin, admin, 'assigned')
    const path = `${account}/providers/Microsoft.Authorization/roleAssignments`
    const name = '22222222-2222-4222-8222-222222222222'
    const body = (role: string, principalId = someone.objectId) => ({
      properties: { roleDefinitionId: role, principalId },
    })
    const made = await admin.arm('PUT', `/${path}/${name}`, body(ROLES.reader))
    assert.deepEqual(
      [made.status, made.body.properties.scope, made.body.properties.principalType],
      [201, account, 'ServicePrincipal'],
    )
    assert.equal((await admin.arm('PUT', `${path}/${name}`, body(ROLES.reader))).status, 200)
    const codes = async (other: string, given: unknown) =>
      (await admin.arm('PUT', `${path}/${other}`, given)).body.error.code
    assert.equal(await codes(name, body(ROLES.owner)), 'RoleAssignmentUpdateNotPermitted')
    assert.equal(await codes(crypto.randomUUID(), body(ROLES.reader)), 'RoleAssignmentExists')
    assert.equal(await codes(crypto.randomUUID(), body(crypto.randomUUID())), 'RoleDefinitionDoesNotExist')
    assert.equal(await codes(crypto.randomUUID(), body(ROLES.owner, crypto.randomUUID())), 'PrincipalNotFound')
    assert.equal(await codes('no-guid', body(ROLES.owner)), 'InvalidRoleAssignmentId')
    const list = async (scope: string, filter: string) =>
      (
        await admin.arm(
          'GET',
          `${scope}/providers/Microsoft.Authorization/roleAssignments?$filter=${encodeURIComponent(filter)}`,
        )
      ).body.value
    assert.equal((await list(account, `atScope() and assignedTo('${someone.objectId}')`)).length, 1)
    assert.equal((await list(sub, `principalId eq '${someone.objectId}'`)).length, 1)
    assert.equal((await list(sub, `atScope() and principalId eq '${someone.objectId}'`)).length, 0)
    assert.equal((await admin.arm('GET', made.body.id)).body.id, made.body.id)
    assert.equal((await someone.arm('GET', account)).status, 200)
    assert.equal((await admin.arm('DELETE', `${path}/${name}`)).status, 200)
    assert.equal((await admin.arm('DELETE', `${path}/${name}`)).status, 204)
    assert.equal((await someone.arm('GET', account)).status, 403)
    assert.equal(
      (
        await admin.arm(
          'PUT',
          `${account}-none/providers/Microsoft.Authorization/roleAssignments/${name}`,
          body(ROLES.reader),
        )
      ).status,
      404,
    )
  })

  it('role definitions are found by name and id at every scope', async () => {
    const found = await admin.arm(
      'GET',
      `${sub}/providers/Microsoft.Authorization/roleDefinitions?$filter=${encodeURIComponent("roleName eq 'Cognitive Services OpenAI User'")}`,
    )
    assert.deepEqual(
      found.body.value.map((role: { name: string }) => role.name),
      [ROLES.openAiUser],
    )
    assert.match(found.body.value[0].id, new RegExp(`^${sub}/providers/Microsoft.Authorization/roleDefinitions/`))
    assert.equal(
      (await admin.arm('GET', `/providers/Microsoft.Authorization/roleDefinitions/${ROLES.owner}`)).body.properties
        .roleName,
      'Owner',
    )
    assert.equal(
      (await admin.arm('GET', `${sub}/providers/Microsoft.Authorization/roleDefinitions/${crypto.randomUUID()}`))
        .status,
      404,
    )
    const own = await admin.arm('GET', `${account}/providers/Microsoft.Authorization/permissions`)
    assert.ok(own.body.value.some((one: { actions: string[] }) => one.actions.includes('*')))
  })

  it("another tenant's principals get no roles here · R27", async () => {
    const foreigner = await newTenant(admin, 'Fabrikam')
    const refused = await foreigner.arm('GET', `${sub}/resourceGroups/rg`)
    assert.deepEqual([refused.status, refused.body.error.code], [401, 'InvalidAuthenticationTokenTenant'])
    assert.match(
      refused.headers.get('www-authenticate') ?? '',
      new RegExp(`authorization_uri="https://login[^"]+/${admin.login.tenantId}"`),
    )
    assert.equal((await assign(admin, sub, foreigner.objectId, ROLES.owner)).body.error.code, 'PrincipalNotFound')
    assert.deepEqual((await foreigner.arm('GET', '/subscriptions')).body.value, [])
    assert.deepEqual(
      (await foreigner.arm('GET', '/tenants')).body.value.map((one: { displayName: string }) => one.displayName),
      ['Fabrikam'],
    )
    assert.equal(
      (
        await foreigner.arm('POST', '/providers/OwnKey.Directory/tenants?api-version=2026-01-01', {
          properties: { displayName: 'x' },
        })
      ).status,
      403,
    )
  })

  it('with disableLocalAuth keys are neither listed nor accepted', async () => {
    const { key1 } = (await admin.arm('POST', `${account}/listKeys`)).body
    const withKey = async () => (await fetch(`${endpoint}openai/v1/models`, { headers: { 'api-key': key1 } })).status
    assert.equal(await withKey(), 200)
    await admin.arm('PATCH', account, { properties: { disableLocalAuth: true } })
    assert.equal(await withKey(), 403)
    assert.equal((await admin.arm('POST', `${account}/listKeys`)).status, 400)
    assert.equal((await admin.data('GET', `${endpoint}openai/v1/models`)).status, 200)
    await admin.arm('PATCH', account, { properties: { disableLocalAuth: false } })
    assert.equal(await withKey(), 200)
  })
})

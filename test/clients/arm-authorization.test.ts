import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { AuthorizationManagementClient } from '@azure/arm-authorization'
import { ClientSecretCredential, getBearerTokenProvider } from '@azure/identity'
import { CryptographyClient } from '@azure/keyvault-keys'
import { AzureOpenAI } from 'openai'
import { administratorObjectId } from '../../src/harness/scene.ts'
import { Azure, refusal, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph } from '../support/graph.ts'
import { officialClients } from '../support/official-clients.ts'

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of list) found.push(one)
  return found
}

describe('@azure/arm-authorization, unmodified', { concurrency: false }, () => {
  const ends: (() => Promise<void>)[] = []
  let azure: Azure
  let client: AuthorizationManagementClient
  let account: TestAccount
  let subscription: string
  let vault: string
  let kid: string
  /** A program that nobody has given anything. */
  let program: { principalId: string; credential: ClientSecretCredential }
  before(async () => {
    const { endpoints } = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    const { resourceManager, subscriptionId, tenantId, authority } = endpoints
    const { credential } = officialClients(endpoints)
    const management = { endpoint: resourceManager, credentialScopes: `${resourceManager}/.default` }
    client = new AuthorizationManagementClient(credential, subscriptionId, management)
    azure = await Azure.in(endpoints)
    account = await azure.account('roles')
    subscription = `/subscriptions/${subscriptionId}`
    vault = `${subscription}${azure.vaultPath('kv-roles')}`
    const keys = await azure.vault('kv-roles', { enableRbacAuthorization: true, accessPolicies: [] })
    await assign(vault, 'Key Vault Crypto Officer', await administratorObjectId(endpoints))
    kid = (await keys.createRsaKey('at-rest', { keySize: 2048 })).id ?? ''
    const graph = await Graph.asAdministrator(endpoints)
    const { id, appId, principalId } = await graph.application({ displayName: 'program' })
    const { secretText } = await graph.get<{ secretText: string }>('POST', `/applications/${id}/addPassword`, {})
    const options = { authorityHost: authority, disableInstanceDiscovery: true }
    program = { principalId, credential: new ClientSecretCredential(tenantId, appId, secretText, options) }
  })
  after(() => Promise.all(ends.map(end => end())))

  async function roleId(name: string): Promise<string> {
    const [found] = await all(client.roleDefinitions.list(subscription, { filter: `roleName eq '${name}'` }))
    return found?.id ?? assert.fail(`there is no role ${name}`)
  }
  async function assign(scope: string, role: string, principalId: string, name: string = randomUUID()) {
    const given = { roleDefinitionId: await roleId(role), principalId, principalType: 'ServicePrincipal' }
    return client.roleAssignments.create(scope, name, given)
  }

  it('definitions: found by name, read by id; custom roles are refused', async () => {
    const { permissions = [], roleType } = await client.roleDefinitions.getById(
      await roleId('Key Vault Crypto Service Encryption User'),
    )
    assert.equal(roleType, 'BuiltInRole')
    assert.ok(permissions[0]?.dataActions?.includes('Microsoft.KeyVault/vaults/keys/unwrap/action'))
    const custom = client.roleDefinitions.createOrUpdate(subscription, randomUUID(), { roleName: 'mine' })
    await assert.rejects(custom, /custom roles/i)
  })

  it('an assignment on a vault in RBAC mode lets a program use the key, until it is deleted', async () => {
    const use = new CryptographyClient(kid, program.credential, { disableChallengeResourceVerification: true })
    const wrap = () => use.wrapKey('RSA-OAEP-256', randomBytes(32))
    await assert.rejects(wrap(), /DeniedWithNoValidRBAC|not authorized/)
    const { name = '' } = await assign(vault, 'Key Vault Crypto Service Encryption User', program.principalId)
    assert.ok((await wrap()).result.length > 0)
    await client.roleAssignments.delete(vault, name)
    await assert.rejects(wrap(), /DeniedWithNoValidRBAC|not authorized/)
  })

  it('a vault in RBAC mode holds no key for an account, whatever the assignments say · R10', async () => {
    await assign(vault, 'Key Vault Crypto Service Encryption User', account.principalId)
    const refused = await refusal(() => account.encrypt({ vault: 'kv-roles', name: 'at-rest' }))
    assert.equal(refused?.code, 'CustomerManagedKeyRequirementsNotMet')
    assert.match(refused?.message ?? '', /R10\.RbacAuthorization/)
  })

  it('an assignment on an account opens its data to a token, until it is deleted · R27', async () => {
    const openai = new AzureOpenAI({
      endpoint: `https://roles${azure.endpoints.openAiSuffix}`,
      azureADTokenProvider: getBearerTokenProvider(program.credential, 'https://cognitiveservices.azure.com/.default'),
      apiVersion: '2024-10-21',
      maxRetries: 0,
    })
    const fileId = await account.upload('by role')
    const download = async () => (await openai.files.content(fileId)).text()
    assert.match((await refusal(download))?.message ?? '', /lacks the required data action/)
    const scope = `${subscription}${azure.accountPath('roles')}`
    const { name = '' } = await assign(scope, 'Cognitive Services OpenAI Contributor', program.principalId)
    assert.match(await download(), /by role/)
    await client.roleAssignments.delete(scope, name)
    assert.match((await refusal(download))?.message ?? '', /lacks the required data action/)
  })

  it('assignments are listed at a scope and for a principal, and read by id', async () => {
    const name = randomUUID()
    await assign(vault, 'Reader', program.principalId, name)
    const filter = `principalId eq '${program.principalId}'`
    const held = await all(client.roleAssignments.listForScope(vault, { filter }))
    assert.deepEqual(
      held.map(one => one.name),
      [name],
    )
    assert.equal((await client.roleAssignments.getById(held[0]?.id ?? '')).principalId, program.principalId)
    assert.ok((await all(client.roleAssignments.listForSubscription())).length >= 1)
    const twice = assign(vault, 'Reader', program.principalId)
    await assert.rejects(twice, { code: 'RoleAssignmentExists', statusCode: 409 })
    const roleDefinitionId = `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${randomUUID()}`
    const nothing = client.roleAssignments.create(vault, randomUUID(), {
      roleDefinitionId,
      principalId: program.principalId,
    })
    await assert.rejects(nothing, { code: 'RoleDefinitionDoesNotExist' })
  })
})

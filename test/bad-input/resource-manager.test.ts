import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, test } from 'node:test'
import { blobDigests } from '../../src/demo/search-folder.ts'
import { ask, checkTells, type Answered } from '../support/asking.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { resourceManager, subscriptionId, tenantId, location } = cloud.endpoints
const account = await azure.account('existing')
await azure.vault('kv-existing')
const key = String(account.openai.apiKey)
const token = (await azure.credential.getToken(`${resourceManager}/.default`))?.token ?? ''

const SUBSCRIPTION = `/subscriptions/${subscriptionId}`
const GROUP = `${SUBSCRIPTION}/resourceGroups/tests`
const groupAt = (name: string): string => `${SUBSCRIPTION}/resourceGroups/${name}`
const accountAt = (name: string, group = 'tests'): string =>
  `${groupAt(group)}/providers/Microsoft.CognitiveServices/accounts/${name}`
const vaultAt = (name: string): string => `${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`
const deploymentAt = (name: string, of = 'existing'): string => `${accountAt(of)}/deployments/${name}`
const OTHER = location === 'eastus' ? 'uksouth' : 'eastus'

function send(method: string, path: string, body?: unknown, version = '2025-06-01'): Promise<Answered> {
  const query = version === '' ? '' : `${path.includes('?') ? '&' : '?'}api-version=${version}`
  return ask({
    method,
    url: `${resourceManager}${path}${query}`,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const newAccount = { location, kind: 'OpenAI', sku: { name: 'S0' }, properties: { customSubDomainName: 'fresh' } }
const withProperties = (properties: object) => ({
  ...newAccount,
  properties: { ...newAccount.properties, ...properties },
})
const newVault = { location, properties: { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] } }
const newDeployment = {
  sku: { name: 'Standard', capacity: 1 },
  properties: { model: { format: 'OpenAI', name: BASE_MODEL, version: '1' } },
}
const model = (change: object) => ({
  ...newDeployment,
  properties: { model: { ...newDeployment.properties.model, ...change } },
})
const keyOf = (change: object) => ({
  properties: {
    encryption: {
      keySource: 'Microsoft.KeyVault',
      keyVaultProperties: { keyVaultUri: azure.vaultUri('kv-existing'), keyName: 'k', keyVersion: '', ...change },
    },
  },
})
const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`tag${n}`, 'x']))

type Case = readonly [
  what: string,
  status: number,
  code: string,
  target: string | undefined,
  send: () => Promise<Answered>,
]
const at = (method: string, path: string, body?: unknown, version?: string) => () => send(method, path, body, version)

const SCOPES: readonly Case[] = [
  ['no api-version', 400, 'MissingApiVersionParameter', undefined, at('GET', GROUP, undefined, '')],
  ['an api-version of words', 400, 'InvalidApiVersionParameter', undefined, at('GET', GROUP, undefined, 'latest')],
  ['an api-version of no day', 400, 'InvalidApiVersionParameter', undefined, at('GET', GROUP, undefined, '2024-02-31')],
  [
    'an api-version with a line break',
    400,
    'InvalidApiVersionParameter',
    undefined,
    at('GET', GROUP, undefined, '2024-02-01%0d%0aX:1'),
  ],
  [
    'a subscription that is no GUID',
    400,
    'InvalidSubscriptionId',
    undefined,
    at('GET', '/subscriptions/mine/resourceGroups'),
  ],
  [
    'a subscription of nobody',
    404,
    'SubscriptionNotFound',
    undefined,
    at('GET', `/subscriptions/${randomUUID()}/resourceGroups`),
  ],
  [
    'the locations of nobody',
    404,
    'SubscriptionNotFound',
    undefined,
    at('GET', `/subscriptions/${randomUUID()}/locations`),
  ],
  [
    'a provider of nobody',
    404,
    'ResourceNotFound',
    undefined,
    at('GET', `${GROUP}/providers/Microsoft.Nothing/things/x`),
  ],
  ['a route of nobody', 404, 'ResourceNotFound', undefined, at('GET', '/nothing/at/all')],
  [
    'a filter that is none',
    400,
    'InvalidFilterInQueryString',
    undefined,
    at('GET', `${SUBSCRIPTION}/resources?$filter=${encodeURIComponent("name like '%'")}`),
  ],
]

const GROUPS: readonly Case[] = [
  ['a group that is not there', 404, 'ResourceGroupNotFound', undefined, at('GET', groupAt('absent'))],
  [
    'the deletion of a group that is not there',
    404,
    'ResourceGroupNotFound',
    undefined,
    at('DELETE', groupAt('absent')),
  ],
  [
    'resources of a group that is not there',
    404,
    'ResourceGroupNotFound',
    undefined,
    at('GET', `${groupAt('absent')}/resources`),
  ],
  ['a group with a space', 400, 'InvalidResourceGroup', undefined, at('PUT', groupAt('a%20b'), { location })],
  ['a group of 91 letters', 400, 'InvalidResourceGroup', undefined, at('PUT', groupAt('g'.repeat(91)), { location })],
  ['a group that ends in a dot', 400, 'InvalidResourceGroup', undefined, at('PUT', groupAt('group.'), { location })],
  ['a group with a slash in it', 400, 'InvalidResourceGroup', undefined, at('PUT', groupAt('a%2Fb'), { location })],
  ['a group without a location', 400, 'InvalidRequestContent', 'location', at('PUT', groupAt('g1'), {})],
  ['a group in a number', 400, 'InvalidRequestContent', 'location', at('PUT', groupAt('g1'), { location: 7 })],
  ['a group in Atlantis', 400, 'LocationNotAvailable', undefined, at('PUT', groupAt('g1'), { location: 'Atlantis' })],
  ['a group that moves', 409, 'InvalidResourceGroupLocation', undefined, at('PUT', GROUP, { location: OTHER })],
  ['a group of 51 tags', 400, 'InvalidRequestContent', 'tags', at('PUT', groupAt('g1'), { location, tags: tags(51) })],
  [
    'a tag of 257 letters',
    400,
    'InvalidRequestContent',
    'tags.a',
    at('PUT', groupAt('g1'), { location, tags: { a: 'x'.repeat(257) } }),
  ],
]

const ACCOUNTS: readonly Case[] = [
  ['an account that is not there', 404, 'ResourceNotFound', undefined, at('GET', accountAt('absent'))],
  [
    'a change of an account that is not there',
    404,
    'ResourceNotFound',
    undefined,
    at('PATCH', accountAt('absent'), {}),
  ],
  [
    'an account in a group that is not there',
    404,
    'ResourceGroupNotFound',
    undefined,
    at('PUT', accountAt('xx', 'absent'), newAccount),
  ],
  ['an account of one letter', 400, 'InvalidResourceName', undefined, at('PUT', accountAt('x'), newAccount)],
  ['an account of 65 letters', 400, 'InvalidResourceName', undefined, at('PUT', accountAt('x'.repeat(65)), newAccount)],
  ['an account with a space', 400, 'InvalidResourceName', undefined, at('PUT', accountAt('a%20b'), newAccount)],
  [
    'an account with a climb in it',
    400,
    'InvalidResourceName',
    undefined,
    at('PUT', accountAt('..%2F..%2Froot'), newAccount),
  ],
  [
    'an account that begins with a hyphen',
    400,
    'InvalidResourceName',
    undefined,
    at('PUT', accountAt('-ab'), newAccount),
  ],
  [
    'an account without a location',
    400,
    'InvalidRequestContent',
    'location',
    at('PUT', accountAt('xx'), { kind: 'OpenAI' }),
  ],
  [
    'an account in Atlantis',
    400,
    'LocationNotAvailable',
    undefined,
    at('PUT', accountAt('xx'), { ...newAccount, location: 'Atlantis' }),
  ],
  [
    'an account that moves',
    409,
    'InvalidResourceLocation',
    undefined,
    at('PUT', accountAt('existing'), { ...newAccount, location: OTHER }),
  ],
  [
    'an account of another kind',
    400,
    'InvalidKind',
    'kind',
    at('PUT', accountAt('xx'), { ...newAccount, kind: 'Toaster' }),
  ],
  [
    'an account of another sku',
    400,
    'InvalidSku',
    'sku.name',
    at('PUT', accountAt('xx'), { ...newAccount, sku: { name: 'F9' } }),
  ],
  [
    'a sku without a name',
    400,
    'InvalidRequestContent',
    'sku.name',
    at('PUT', accountAt('xx'), { ...newAccount, sku: {} }),
  ],
  [
    'an identity of another type',
    400,
    'InvalidIdentityType',
    'identity.type',
    at('PUT', accountAt('xx'), { ...newAccount, identity: { type: 'UserAssigned' } }),
  ],
  [
    'a switch that is a word',
    400,
    'InvalidRequestContent',
    'properties.disableLocalAuth',
    at('PUT', accountAt('xx'), withProperties({ disableLocalAuth: 'yes' })),
  ],
  [
    'a subdomain with a dot',
    400,
    'InvalidRequestContent',
    'properties.customSubDomainName',
    at('PUT', accountAt('xx'), withProperties({ customSubDomainName: 'a.b' })),
  ],
  [
    'a subdomain of 64 letters',
    400,
    'InvalidRequestContent',
    'properties.customSubDomainName',
    at('PUT', accountAt('xx'), withProperties({ customSubDomainName: 'x'.repeat(64) })),
  ],
  [
    "a subdomain of somebody else's",
    409,
    'CustomDomainInUse',
    undefined,
    at('PUT', accountAt('xx'), withProperties({ customSubDomainName: 'Existing' })),
  ],
  [
    'another subdomain for an account',
    400,
    'CustomSubDomainNameImmutable',
    'properties.customSubDomainName',
    at('PATCH', accountAt('existing'), { properties: { customSubDomainName: 'other' } }),
  ],
  [
    'a firewall rule that is no address',
    400,
    'InvalidRequestContent',
    'properties.networkAcls.ipRules.0.value',
    at(
      'PUT',
      accountAt('xx'),
      withProperties({ networkAcls: { defaultAction: 'Deny', ipRules: [{ value: 'here' }] } }),
    ),
  ],
  [
    'a key that is none',
    400,
    'InvalidRequestContent',
    'keyName',
    at('POST', `${accountAt('existing')}/regenerateKey`, { keyName: 'Key3' }),
  ],
]

const ENCRYPTION: readonly Case[] = [
  [
    'a new account with a customer key',
    400,
    'CustomerManagedKeyBeforeIdentity',
    'properties.encryption',
    at('PUT', accountAt('xx'), { ...newAccount, ...keyOf({}) }),
  ],
  [
    'a key source that is none',
    400,
    'InvalidRequestContent',
    'properties.encryption.keySource',
    at('PATCH', accountAt('existing'), { properties: { encryption: { keySource: 'Mine' } } }),
  ],
  [
    'a key vault source without a key',
    400,
    'InvalidEncryptionSettings',
    'properties.encryption.keyVaultProperties',
    at('PATCH', accountAt('existing'), { properties: { encryption: { keySource: 'Microsoft.KeyVault' } } }),
  ],
  [
    'a key without a name',
    400,
    'InvalidRequestContent',
    'properties.encryption.keyVaultProperties.keyName',
    at('PATCH', accountAt('existing'), keyOf({ keyName: '' })),
  ],
  [
    'a key with a slash in its name',
    400,
    'InvalidKeyUri',
    undefined,
    at('PATCH', accountAt('existing'), keyOf({ keyName: 'a/b' })),
  ],
  [
    'a key version that is none',
    400,
    'InvalidKeyUri',
    undefined,
    at('PATCH', accountAt('existing'), keyOf({ keyVersion: 'latest' })),
  ],
  [
    'a vault that is no address',
    400,
    'InvalidKeyUri',
    'properties.encryption.keyVaultProperties.keyVaultUri',
    at('PATCH', accountAt('existing'), keyOf({ keyVaultUri: 'contoso' })),
  ],
  [
    'a vault over plain HTTP',
    400,
    'InvalidKeyUri',
    'properties.encryption.keyVaultProperties.keyVaultUri',
    at('PATCH', accountAt('existing'), keyOf({ keyVaultUri: azure.vaultUri('kv-existing').replace('https', 'http') })),
  ],
  [
    'a vault with a password in it',
    400,
    'InvalidKeyUri',
    'properties.encryption.keyVaultProperties.keyVaultUri',
    at('PATCH', accountAt('existing'), keyOf({ keyVaultUri: 'https://me:secret@kv.vault.localhost/' })),
  ],
  [
    "a vault of somebody's metadata service",
    400,
    'CustomerManagedKeyRequirementsNotMet',
    'properties.encryption',
    at('PATCH', accountAt('existing'), keyOf({ keyVaultUri: 'https://169.254.169.254/' })),
  ],
  [
    'a vault that is not there',
    400,
    'CustomerManagedKeyRequirementsNotMet',
    'properties.encryption',
    at('PATCH', accountAt('existing'), keyOf({ keyVaultUri: azure.vaultUri('kv-absent') })),
  ],
  [
    'a key that is not there',
    400,
    'CustomerManagedKeyRequirementsNotMet',
    'properties.encryption',
    at('PATCH', accountAt('existing'), keyOf({ keyName: 'absent' })),
  ],
  [
    'an identity of the user',
    400,
    'InvalidEncryptionSettings',
    'properties.encryption.keyVaultProperties.identityClientId',
    at('PATCH', accountAt('existing'), keyOf({ identityClientId: randomUUID() })),
  ],
]

const DEPLOYMENTS: readonly Case[] = [
  ['a deployment that is not there', 404, 'DeploymentNotFound', undefined, at('GET', deploymentAt('absent'))],
  [
    'a deployment of an account that is not there',
    404,
    'ResourceNotFound',
    undefined,
    at('GET', deploymentAt('d', 'absent')),
  ],
  [
    'a new deployment of an account that is not there',
    404,
    'ResourceNotFound',
    undefined,
    at('PUT', deploymentAt('d', 'absent'), newDeployment),
  ],
  ['a deployment with a space', 400, 'InvalidResourceName', undefined, at('PUT', deploymentAt('a%20b'), newDeployment)],
  [
    'a deployment that ends in a hyphen',
    400,
    'InvalidResourceName',
    undefined,
    at('PUT', deploymentAt('a-'), newDeployment),
  ],
  [
    'a deployment of 65 letters',
    400,
    'InvalidResourceName',
    undefined,
    at('PUT', deploymentAt('d'.repeat(65)), newDeployment),
  ],
  [
    'a deployment of nothing',
    400,
    'InvalidRequestContent',
    'properties',
    at('PUT', deploymentAt('d'), { sku: { name: 'Standard' } }),
  ],
  [
    'a deployment without a model',
    400,
    'InvalidRequestContent',
    'properties.model',
    at('PUT', deploymentAt('d'), { properties: {} }),
  ],
  [
    'a deployment of an unknown model',
    400,
    'DeploymentModelNotSupported',
    'properties.model.name',
    at('PUT', deploymentAt('d'), model({ name: 'gpt-99' })),
  ],
  [
    'a model with a zero byte in its name',
    400,
    'DeploymentModelNotSupported',
    'properties.model.name',
    at('PUT', deploymentAt('d'), model({ name: 'a\0b' })),
  ],
  [
    'a model of another format',
    400,
    'DeploymentModelNotSupported',
    'properties.model.format',
    at('PUT', deploymentAt('d'), model({ format: 'Meta' })),
  ],
  [
    'a model version with a slash',
    400,
    'InvalidRequestContent',
    'properties.model.version',
    at('PUT', deploymentAt('d'), model({ version: '../1' })),
  ],
  [
    "a model of somebody else's account",
    400,
    'CrossAccountDeploymentNotSupported',
    'properties.model.source',
    at('PUT', deploymentAt('d'), model({ source: accountAt('other') })),
  ],
  [
    'a capacity of 0',
    400,
    'InvalidRequestContent',
    'sku.capacity',
    at('PUT', deploymentAt('d'), { ...newDeployment, sku: { name: 'Standard', capacity: 0 } }),
  ],
  [
    'a capacity of half',
    400,
    'InvalidRequestContent',
    'sku.capacity',
    at('PUT', deploymentAt('d'), { ...newDeployment, sku: { name: 'Standard', capacity: 0.5 } }),
  ],
  [
    'a sku that is none',
    400,
    'InvalidResourceProperties',
    'sku.name',
    at('PUT', deploymentAt('d'), { ...newDeployment, sku: { name: 'Turbo', capacity: 1 } }),
  ],
]

const VAULTS: readonly Case[] = [
  [
    'a vault of 40 letters',
    400,
    'VaultNameNotValid',
    undefined,
    at('PUT', vaultAt('v'.repeat(40)), newVault, '2023-07-01'),
  ],
  [
    'a vault that is not there',
    404,
    'ResourceNotFound',
    undefined,
    at('GET', vaultAt('kv-absent'), undefined, '2023-07-01'),
  ],
  [
    'a retention of one day',
    400,
    'BadRequest',
    undefined,
    at(
      'PUT',
      vaultAt('kv-x'),
      { ...newVault, properties: { ...newVault.properties, softDeleteRetentionInDays: 1 } },
      '2023-07-01',
    ),
  ],
]

async function everything(): Promise<unknown> {
  const lists = [
    '/resourcegroups',
    '/resources',
    '/providers/Microsoft.CognitiveServices/accounts',
    '/providers/Microsoft.KeyVault/vaults',
  ]
  const texts = await Promise.all(lists.map(async path => (await send('GET', `${SUBSCRIPTION}${path}`)).text))
  const deployments = await send('GET', `${accountAt('existing')}/deployments`)
  return [...texts, deployments.text, await blobDigests(cloud.dataDir)]
}
const before = await everything()
afterEach(async () => assert.deepEqual(await everything(), before, 'something was made'))

for (const [what, status, code, target, attempt] of [
  ...SCOPES,
  ...GROUPS,
  ...ACCOUNTS,
  ...ENCRYPTION,
  ...DEPLOYMENTS,
  ...VAULTS,
]) {
  test(`${what}: ${status} ${code}, and nothing is made`, async () => {
    const answer = await attempt()
    const { error } = JSON.parse(answer.text) as { error: { code: string; message: string; target?: string } }
    assert.deepEqual([answer.status, error.code], [status, code], answer.text.slice(0, 400))
    if (target !== undefined) assert.equal(error.target, target)
    assert.ok(error.message.length > 20 && error.message.length < 2000, error.message)
    assert.equal(answer.headers['x-ms-error-code'], code)
    assert.match(String(answer.headers['x-ms-request-id']), /^[0-9a-f-]{36}$/)
    checkTells(answer.text, [token, key, 'secret@'])
  })
}

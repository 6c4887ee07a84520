import { randomUUID } from 'node:crypto'
import {
  at,
  accountAt,
  GROUP,
  groupAt,
  location,
  newAccount,
  refuses,
  SUBSCRIPTION,
  tenantId,
  withProperties,
  type Case,
} from './management.fixture.ts'

const vaultAt = (name: string): string => `${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`
const OTHER = location === 'eastus' ? 'uksouth' : 'eastus'
const newVault = { location, properties: { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] } }
const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`tag${n}`, 'x']))

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
    'a subscription that is not a GUID',
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
    'InvalidResourceType',
    undefined,
    at('GET', `${GROUP}/providers/Microsoft.Nothing/things/x`),
  ],
  ['a route of nobody', 404, 'ResourceNotFound', undefined, at('GET', '/nothing/at/all')],
  [
    'a type that is not offered',
    404,
    'InvalidResourceType',
    undefined,
    at('PUT', `${GROUP}/providers/Microsoft.Resources/deployments/main`, {}),
  ],
  [
    'an invalid filter',
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
    'a firewall rule that is not an address',
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
    'an unknown key',
    400,
    'InvalidRequestContent',
    'keyName',
    at('POST', `${accountAt('existing')}/regenerateKey`, { keyName: 'Key3' }),
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

await refuses([...SCOPES, ...GROUPS, ...ACCOUNTS, ...VAULTS])

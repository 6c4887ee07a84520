import { BASE_MODEL } from '../support/azure.ts'

/** Valid bodies, by a route's method and the end of its path, so that mutated ones may pass the first check. */
export interface Names {
  readonly tenantId: string
  readonly location: string
  readonly clientId: string
  readonly clientSecret: string
  readonly file: string
  readonly vaultUri: string
  readonly scope: string
}

const bytes = (length: number): string => Buffer.alloc(length, 7).toString('base64url')

const KEYVAULT = (names: Names) => ({
  location: names.location,
  tags: { a: 'b' },
  properties: {
    tenantId: names.tenantId,
    sku: { family: 'A', name: 'standard' },
    accessPolicies: [
      {
        tenantId: names.tenantId,
        objectId: '00000000-0000-4000-8000-000000000009',
        permissions: { keys: ['get', 'wrapKey'] },
      },
    ],
    enableSoftDelete: true,
    softDeleteRetentionInDays: 7,
    enableRbacAuthorization: false,
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow', ipRules: [{ value: '10.0.0.0/8' }] },
    publicNetworkAccess: 'Enabled',
  },
})

const ACCOUNT = (names: Names) => ({
  location: names.location,
  kind: 'OpenAI',
  sku: { name: 'S0' },
  tags: { a: 'b' },
  identity: { type: 'SystemAssigned' },
  properties: {
    customSubDomainName: 'fuzzed',
    disableLocalAuth: false,
    encryption: {
      keySource: 'Microsoft.KeyVault',
      keyVaultProperties: { keyVaultUri: names.vaultUri, keyName: 'k', keyVersion: '' },
    },
  },
})

const CHAT = () => ({
  model: 'base',
  messages: [
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
  ],
  max_tokens: 2,
  temperature: 0.5,
  top_p: 0.9,
  n: 1,
  stream: false,
  stop: ['x'],
  seed: 1,
  stream_options: { include_usage: true },
  presence_penalty: 0,
  user: 'me',
})

const CRYPT = () => ({ alg: 'RSA-OAEP-256', value: bytes(32), iv: bytes(16), aad: bytes(4), tag: bytes(16) })

/** First match wins. */
const TEMPLATES: readonly [method: string, path: RegExp, body: (names: Names) => unknown][] = [
  ['PUT', /\/resourcegroups\/:group$/, ({ location }) => ({ location, tags: { a: 'b' } })],
  ['PUT', /\/vaults\/:vault$/, KEYVAULT],
  ['PATCH', /\/vaults\/:vault$/, KEYVAULT],
  ['PUT', /accesspolicies/, names => ({ properties: { accessPolicies: KEYVAULT(names).properties.accessPolicies } })],
  ['POST', /checknameavailability$/, () => ({ name: 'kv-free', type: 'Microsoft.KeyVault/vaults' })],
  ['PUT', /\/accounts\/:account$/, ACCOUNT],
  ['PATCH', /\/accounts\/:account$/, ACCOUNT],
  [
    'PUT',
    /\/deployments\/:deployment$/,
    () => ({
      sku: { name: 'Standard', capacity: 1 },
      properties: { model: { format: 'OpenAI', name: BASE_MODEL, version: '1', source: '' } },
    }),
  ],
  ['POST', /\/chat\/completions$/, CHAT],
  [
    'POST',
    /\/fine_tuning\/jobs$/,
    ({ file }) => ({
      model: 'no-such-model',
      training_file: file,
      validation_file: file,
      suffix: 'x',
      seed: 1,
      hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate_multiplier: 1 },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 'auto' } } },
    }),
  ],
  [
    'POST',
    /\/create$/,
    () => ({ kty: 'EC', crv: 'P-256', key_ops: ['sign'], attributes: { enabled: true, nbf: 1 }, tags: { a: 'b' } }),
  ],
  ['PUT', /^\/keys\/:name$/, () => ({ Hsm: true, key: { kty: 'oct', k: bytes(32), key_ops: ['encrypt'] }, tags: {} })],
  [
    'PATCH',
    /^\/keys/,
    () => ({ key_ops: ['wrapKey', 'unwrapKey'], attributes: { enabled: true, exp: 4e9 }, tags: {} }),
  ],
  [
    'PUT',
    /rotationpolicy$/,
    () => ({
      lifetimeActions: [{ trigger: { timeAfterCreate: 'P30D' }, action: { type: 'Rotate' } }],
      attributes: { expiryTime: 'P90D' },
    }),
  ],
  ['POST', /\/(encrypt|decrypt|wrapkey|unwrapkey)$/, CRYPT],
  ['POST', /\/(sign|verify)$/, () => ({ alg: 'PS256', value: bytes(32), digest: bytes(32) })],
  ['POST', /\/restore$/, () => ({ value: bytes(200) })],
  ['POST', /\/rng$/, () => ({ count: 16 })],
  ['POST', /\/release$/, () => ({ target: 'a.b.c', nonce: 'n', enc: 'CKM_RSA_AES_KEY_WRAP' })],
  [
    'PUT',
    /diagnosticsettings/,
    () => ({
      properties: {
        storageAccountId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a',
        logs: [{ category: 'AuditEvent', enabled: true }],
      },
    }),
  ],
]

/** The rest of Resource Manager, by what ends a path. */
const MANAGEMENT: readonly [method: string, path: RegExp, body: (names: Names) => unknown][] = [
  ['PATCH', /\/resourcegroups\/:group$/, () => ({ tags: { a: 'b' } })],
  ['POST', /\/rename$/, () => ({ subscriptionName: 'Other' })],
  [
    'PUT',
    /\/aliases\/:alias$/,
    () => ({ properties: { displayName: 'Fuzz', workload: 'Production', billingScope: '/x', subscriptionId: null } }),
  ],
  ['POST', /\/changetenant$/, ({ tenantId }) => ({ tenantId, properties: { tenantId } })],
  [
    'POST',
    /\/acceptownership$/,
    ({ tenantId }) => ({ properties: { displayName: 'x', subscriptionTenantId: tenantId } }),
  ],
  ['POST', /\/tenants$/, () => ({ properties: { displayName: 'Fuzz' } })],
  ['POST', /\/applications$/, () => ({ properties: { displayName: 'Fuzz' } })],
  [
    'POST',
    /moveresources$/,
    () => ({ resources: ['/subscriptions/s'], targetResourceGroup: '/subscriptions/s/resourceGroups/g' }),
  ],
  ['PUT', /\/tags\/default$/, () => ({ properties: { tags: { a: 'b' } } })],
  ['PATCH', /\/tags\/default$/, () => ({ operation: 'Merge', properties: { tags: { a: 'b' } } })],
  [
    'PUT',
    /\/roleassignments\/:assignment$/,
    () => ({
      properties: {
        roleDefinitionId: '/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7',
        principalId: '00000000-0000-4000-8000-000000000003',
        principalType: 'ServicePrincipal',
      },
    }),
  ],
  [
    'PUT',
    /\/roledefinitions\/:role$/,
    () => ({
      properties: {
        roleName: 'Fuzz',
        type: 'CustomRole',
        permissions: [{ actions: ['*/read'], notActions: [], dataActions: [], notDataActions: [] }],
        assignableScopes: ['/'],
      },
    }),
  ],
  ['POST', /\/regeneratekey$/, () => ({ keyName: 'Key1' })],
  ['POST', /\/checkdomainavailability$/, () => ({ subdomainName: 'x', type: 'Microsoft.CognitiveServices/accounts' })],
]

export function templateOf(method: string, path: string, names: Names): unknown {
  const found = [...TEMPLATES, ...MANAGEMENT].find(([wanted, pattern]) => wanted === method && pattern.test(path))
  return found?.[2](names)
}

/** Of the token endpoint and the sign-in form. */
export function formOf(path: string, { clientId, clientSecret, scope }: Names): Record<string, string> | undefined {
  if (path.endsWith('/login')) return { state: 'x', name: 'administrator@localhost', password: 'wrong' }
  if (!path.endsWith('/token')) return undefined
  return { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope }
}

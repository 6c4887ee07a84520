/** A role as Azure defines it: wildcards in actions, `dataActions` apart from `actions`. */
export interface RoleDefinition {
  readonly id: string
  readonly roleName: string
  readonly description: string
  readonly actions: readonly string[]
  readonly notActions: readonly string[]
  readonly dataActions: readonly string[]
  readonly notDataActions: readonly string[]
}

const role = (
  id: string,
  roleName: string,
  description: string,
  rights: { actions?: string[]; notActions?: string[]; dataActions?: string[]; notDataActions?: string[] },
): RoleDefinition => ({
  id,
  roleName,
  description,
  actions: [],
  notActions: [],
  dataActions: [],
  notDataActions: [],
  ...rights,
})

const READ_ACCOUNT = [
  'Microsoft.CognitiveServices/*/read',
  'Microsoft.Authorization/roleAssignments/read',
  'Microsoft.Authorization/roleDefinitions/read',
]
const OPENAI = 'Microsoft.CognitiveServices/accounts/OpenAI'

/** Azure's own ids and names (Microsoft's list of built-in roles). */
export const BUILT_IN_ROLES: readonly RoleDefinition[] = [
  role('8e3af657-a8ff-443c-a75c-2fe8c4bcb635', 'Owner', 'Full access to manage all resources, and to assign roles.', {
    actions: ['*'],
  }),
  role(
    'b24988ac-6180-42a0-ab88-20f7382dd24c',
    'Contributor',
    'Full access to manage all resources, no role assignment.',
    {
      actions: ['*'],
      notActions: [
        'Microsoft.Authorization/*/Delete',
        'Microsoft.Authorization/*/Write',
        'Microsoft.Authorization/elevateAccess/Action',
        'Microsoft.Subscription/changeTenant/action',
      ],
    },
  ),
  role('acdd72a7-3385-48ef-bd42-f606fba81ae7', 'Reader', 'View all resources, change nothing.', {
    actions: ['*/read'],
  }),
  role('18d7d88d-d35e-4fb5-a5c3-7773c20a72d9', 'User Access Administrator', 'Manage user access to resources.', {
    actions: ['*/read', 'Microsoft.Authorization/*'],
  }),
  role(
    '25fbc0a9-bd7c-42a3-aa1a-3b75d497ee68',
    'Cognitive Services Contributor',
    'Manage accounts and read their keys.',
    {
      actions: ['Microsoft.CognitiveServices/*', 'Microsoft.Authorization/*/read', 'Microsoft.Resources/*/read'],
    },
  ),
  role(
    'f58310d9-a9f6-439a-9e8d-f62e7b41a168',
    'Role Based Access Control Administrator',
    'Manage access to resources by assigning roles.',
    {
      actions: [
        'Microsoft.Authorization/roleAssignments/write',
        'Microsoft.Authorization/roleAssignments/delete',
        '*/read',
      ],
    },
  ),
  role('a97b65f3-24c7-4388-baec-2e87135dc908', 'Cognitive Services User', 'Use an account, and read its keys.', {
    actions: [
      'Microsoft.CognitiveServices/*/read',
      'Microsoft.CognitiveServices/accounts/listkeys/action',
      'Microsoft.Resources/subscriptions/resourceGroups/read',
      'Microsoft.Resources/subscriptions/read',
    ],
    dataActions: ['Microsoft.CognitiveServices/*'],
  }),
  role(
    'a001fd3d-188f-4b5d-821b-7da978bf7442',
    'Cognitive Services OpenAI Contributor',
    'Full access to the OpenAI data plane.',
    {
      actions: [...READ_ACCOUNT, 'Microsoft.CognitiveServices/accounts/deployments/*'],
      dataActions: [`${OPENAI}/*`],
    },
  ),
  role(
    '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd',
    'Cognitive Services OpenAI User',
    'Use deployments and look at files and models.',
    {
      actions: READ_ACCOUNT,
      dataActions: [`${OPENAI}/*/read`, `${OPENAI}/deployments/*/action`],
    },
  ),
  role('b59867f0-fa02-499b-be73-45a86b5b3e1c', 'Cognitive Services Data Reader', 'Read the data of an account.', {
    dataActions: ['Microsoft.CognitiveServices/*/read'],
  }),
  role(
    'f25e0fa2-a7c8-4377-a976-54943a77a395',
    'Key Vault Contributor',
    'Manage vaults, without access to their keys.',
    {
      actions: ['Microsoft.Authorization/*/read', 'Microsoft.Resources/*/read', 'Microsoft.KeyVault/*'],
      notActions: ['Microsoft.KeyVault/locations/deletedVaults/purge/action'],
    },
  ),
  role('a68e7c17-0ab2-4c09-9a58-125dae29748c', 'Key Vault Purge Operator', 'Purge soft-deleted vaults.', {
    actions: [
      'Microsoft.KeyVault/deletedVaults/read',
      'Microsoft.KeyVault/locations/*/read',
      'Microsoft.KeyVault/locations/deletedVaults/purge/action',
    ],
  }),
  role('00482a5a-887f-4fb3-b363-3b7fe8e74483', 'Key Vault Administrator', 'All data plane operations on a vault.', {
    actions: ['Microsoft.KeyVault/*/read'],
    dataActions: ['Microsoft.KeyVault/vaults/*'],
  }),
  role('14b46e9e-c2b7-41b4-b07b-48a6ebf60603', 'Key Vault Crypto Officer', 'Any action on the keys of a vault.', {
    actions: ['Microsoft.KeyVault/*/read'],
    dataActions: ['Microsoft.KeyVault/vaults/keys/*', 'Microsoft.KeyVault/vaults/keyrotationpolicies/*'],
  }),
  role('12338af0-0e69-4776-bea7-57ae8d297424', 'Key Vault Crypto User', 'Cryptographic operations with keys.', {
    dataActions: [
      'read',
      'update/action',
      'backup/action',
      'encrypt/action',
      'decrypt/action',
      'wrap/action',
      'unwrap/action',
      'sign/action',
      'verify/action',
    ].map(action => `Microsoft.KeyVault/vaults/keys/${action}`),
  }),
  role(
    'e147488a-f6f5-4113-8e2d-b22465e65bf6',
    'Key Vault Crypto Service Encryption User',
    'Read key metadata, wrap and unwrap.',
    {
      dataActions: ['read', 'wrap/action', 'unwrap/action'].map(action => `Microsoft.KeyVault/vaults/keys/${action}`),
    },
  ),
  role('21090545-7ca7-4776-b22c-e363652d74d2', 'Key Vault Reader', 'Read metadata of vaults and keys.', {
    actions: ['Microsoft.KeyVault/*/read'],
    dataActions: ['Microsoft.KeyVault/vaults/*/read'],
  }),
]

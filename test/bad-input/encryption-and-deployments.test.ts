import { randomUUID } from 'node:crypto'
import { BASE_MODEL } from '../support/azure.ts'
import { accountAt, at, azure, newAccount, refuses, type Case } from './management.fixture.ts'

const deploymentAt = (name: string, of = 'existing'): string => `${accountAt(of)}/deployments/${name}`
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

const ENCRYPTION: readonly Case[] = [
  [
    'a new account with a customer key',
    400,
    'CustomerManagedKeyBeforeIdentity',
    'properties.encryption',
    at('PUT', accountAt('xx'), { ...newAccount, ...keyOf({}) }),
  ],
  [
    'an unknown key source',
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
    'an invalid key version',
    400,
    'InvalidKeyUri',
    undefined,
    at('PATCH', accountAt('existing'), keyOf({ keyVersion: 'latest' })),
  ],
  [
    'a vault that is not an address',
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
    'an unknown sku',
    400,
    'InvalidResourceProperties',
    'sku.name',
    at('PUT', deploymentAt('d'), { ...newDeployment, sku: { name: 'Turbo', capacity: 1 } }),
  ],
]

await refuses([...ENCRYPTION, ...DEPLOYMENTS])

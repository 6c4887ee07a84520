/** Shared by the examples: the official clients, configured by environment alone (`eval "$(./ownkey env --data-dir DIR)"`). */
import { CognitiveServicesManagementClient } from '@azure/arm-cognitiveservices'
import { KeyVaultManagementClient } from '@azure/arm-keyvault'
import { ClientSecretCredential } from '@azure/identity'
import { KeyClient } from '@azure/keyvault-keys'
import { AzureOpenAI } from 'openai'

const env = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) {
    console.error(`${name} is not set: no cloud is named. Run this as\n./ownkey run --data-dir ./cloud FILE`)
    process.exit(1)
  }
  return value
}

export const tenantId = env('AZURE_TENANT_ID')
export const group = 'examples'
const subscriptionId = env('AZURE_SUBSCRIPTION_ID')
const endpoint = env('OWNKEY_RESOURCE_MANAGER')
const location = 'westeurope'

const credential = new ClientSecretCredential(tenantId, env('AZURE_CLIENT_ID'), env('AZURE_CLIENT_SECRET'), {
  authorityHost: env('AZURE_AUTHORITY_HOST'),
  disableInstanceDiscovery: true,
})
const managed = { endpoint, credentialScopes: [`${endpoint}/.default`] }
export const accounts = new CognitiveServicesManagementClient(credential, subscriptionId, managed)
export const vaults = new KeyVaultManagementClient(credential, subscriptionId, managed)
export const vaultUri = (name: string): string => `https://${name}${env('OWNKEY_KEY_VAULT_SUFFIX')}/`

export const keysOf = (vault: string): KeyClient =>
  new KeyClient(vaultUri(vault), credential, { disableChallengeResourceVerification: true })

/** A resource group, an account with a system-assigned identity, and its client. */
export async function createAccount(name: string): Promise<{ principalId: string; openai: AzureOpenAI }> {
  const token = await credential.getToken(`${endpoint}/.default`)
  await fetch(`${endpoint}/subscriptions/${subscriptionId}/resourceGroups/${group}?api-version=2025-04-01`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ location }),
  })
  const account = await accounts.accounts.beginCreateAndWait(group, name, {
    location,
    kind: 'OpenAI',
    sku: { name: 'S0' },
    identity: { type: 'SystemAssigned' },
    properties: { customSubDomainName: name },
  })
  const { key1 = '' } = await accounts.accounts.listKeys(group, name)
  const suffix = env('OWNKEY_OPENAI_SUFFIX')
  const openai = new AzureOpenAI({ endpoint: `https://${name}${suffix}`, apiKey: key1, apiVersion: '2024-10-21' })
  return { principalId: account.identity?.principalId ?? '', openai }
}

/** A vault as customer-managed keys need it, with an RSA key that the account may use. Resolves to the key's version. */
export async function createVault(name: string, key: string, principalId: string): Promise<string> {
  const { oid } = JSON.parse(
    Buffer.from((await credential.getToken(`${endpoint}/.default`)).token.split('.')[1] ?? '', 'base64url').toString(),
  ) as { oid: string }
  const manage = ['create', 'get', 'update', 'delete', 'recover', 'rotate']
  await vaults.vaults.createOrUpdate(group, name, {
    location,
    properties: {
      tenantId,
      sku: { family: 'A', name: 'standard' },
      enablePurgeProtection: true,
      enableRbacAuthorization: false,
      accessPolicies: [
        { tenantId, objectId: oid, permissions: { keys: manage } },
        { tenantId, objectId: principalId, permissions: { keys: ['get', 'wrapKey', 'unwrapKey'] } },
      ],
    },
  })
  const created = await keysOf(name).createRsaKey(key, { keySize: 2048 })
  return created.properties.version ?? ''
}

/** Puts the account's data under this key. */
export async function useKey(account: string, vault: string, keyName: string, keyVersion: string): Promise<void> {
  await accounts.accounts.beginUpdateAndWait(group, account, {
    properties: {
      encryption: {
        keySource: 'Microsoft.KeyVault',
        keyVaultProperties: { keyVaultUri: vaultUri(vault), keyName, keyVersion },
      },
    },
  })
}

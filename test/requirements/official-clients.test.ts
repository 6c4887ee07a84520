import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { getBearerTokenProvider } from '@azure/identity'
import OpenAI, { AzureOpenAI, toFile } from 'openai'
import { administratorObjectId } from '../../src/harness/scene.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { officialClients } from '../support/official-clients.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const azure = await Azure.in(endpoints)
const { cognitive, keyVaults, keysOf, credential } = officialClients(endpoints)
const { tenantId, location } = endpoints
const group = azure.group
const content = Array.from({ length: 10 }, (_, n) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: `What is ${n}?` },
      { role: 'assistant', content: `A number, namely ${n}.` },
    ],
  }),
).join('\n')

test('R03, R04: @azure/arm-cognitiveservices makes an account that is encrypted with nothing to configure', async () => {
  const account = await cognitive.accounts.beginCreateAndWait(group, 'unmodified', {
    location,
    kind: 'OpenAI',
    sku: { name: 'S0' },
    identity: { type: 'SystemAssigned' },
    properties: { customSubDomainName: 'unmodified' },
  })
  assert.equal(account.properties?.provisioningState, 'Succeeded')
  assert.equal(account.properties?.encryption?.keySource, 'Microsoft.CognitiveServices')
  assert.equal(account.properties?.endpoint, `https://unmodified${endpoints.openAiSuffix}/`)
})

test('R03: the openai client works with a token of @azure/identity, and in the v1 form with an API key', async () => {
  const endpoint = `https://unmodified${endpoints.openAiSuffix}`
  const withToken = new AzureOpenAI({
    endpoint,
    apiVersion: '2024-10-21',
    azureADTokenProvider: getBearerTokenProvider(credential, 'https://cognitiveservices.azure.com/.default'),
  })
  const { key1 } = await cognitive.accounts.listKeys(group, 'unmodified')
  const withKey = new OpenAI({ baseURL: `${endpoint}/openai/v1/`, apiKey: key1 ?? '' })
  const file = await withToken.files.create({
    file: await toFile(Buffer.from(content), 'both.jsonl'),
    purpose: 'fine-tune',
  })
  assert.equal(await (await withKey.files.content(file.id)).text(), content)
  await withKey.files.waitForProcessing(file.id, { pollInterval: 50 })
  assert.equal((await withKey.files.retrieve(file.id)).filename, 'both.jsonl')
})

test('R03, R15, R16, R29: the management clients and @azure/keyvault-keys enable, update and disable a customer-managed key', async () => {
  const administrator = await administratorObjectId(endpoints)
  const { identity } = await cognitive.accounts.get(group, 'unmodified')
  const policy = (objectId: string, keys: string[]) => ({ tenantId, objectId, permissions: { keys } })
  await keyVaults.vaults.createOrUpdate(group, 'kv-unmodified', {
    location,
    properties: {
      tenantId,
      sku: { family: 'A', name: 'standard' },
      enablePurgeProtection: true,
      enableRbacAuthorization: false,
      accessPolicies: [
        policy(administrator, ['create', 'get', 'rotate']),
        policy(identity?.principalId ?? '', ['get', 'wrapKey', 'unwrapKey']),
      ],
    },
  })
  const keys = keysOf('kv-unmodified')
  const first = await keys.createRsaKey('cmk', { keySize: 2048 })
  const second = await keys.rotateKey('cmk')
  for (const { properties } of [first, second]) {
    const changed = await cognitive.accounts.beginUpdateAndWait(group, 'unmodified', {
      properties: {
        encryption: {
          keySource: 'Microsoft.KeyVault',
          keyVaultProperties: {
            keyVaultUri: azure.vaultUri('kv-unmodified'),
            keyName: 'cmk',
            keyVersion: properties.version ?? '',
          },
        },
      },
    })
    assert.equal(changed.properties?.encryption?.keyVaultProperties?.keyVersion, properties.version)
  }
  const disabled = await cognitive.accounts.beginUpdateAndWait(group, 'unmodified', {
    properties: { encryption: { keySource: 'Microsoft.CognitiveServices' } },
  })
  assert.equal(disabled.properties?.encryption?.keySource, 'Microsoft.CognitiveServices')
})

test('R03, R12: refusals reach the management client as its RestError, with code and details', async () => {
  await keysOf('kv-unmodified').createRsaKey('large', { keySize: 4096 })
  const refused = cognitive.accounts.beginUpdateAndWait(group, 'unmodified', {
    properties: {
      encryption: {
        keySource: 'Microsoft.KeyVault',
        keyVaultProperties: { keyVaultUri: azure.vaultUri('kv-unmodified'), keyName: 'large', keyVersion: '' },
      },
    },
  })
  await assert.rejects(refused, (error: { name: string; code: string; statusCode: number; details: unknown }) => {
    assert.deepEqual(
      [error.name, error.code, error.statusCode],
      ['RestError', 'CustomerManagedKeyRequirementsNotMet', 400],
    )
    assert.match(JSON.stringify(error.details), /R12\.KeySize/)
    return true
  })
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { KeyVaultManagementClient, type VaultCreateOrUpdateParameters } from '@azure/arm-keyvault'
import { administratorCredential, ArmClient } from '../../src/harness/azure-client.ts'
import type { Endpoints } from '../../src/base/endpoints.ts'
import { cloudFor } from '../support/cloud.ts'

/*
 * The five tests inside the package @azure/arm-keyvault 3.1.0 (dist-esm/test/keyvault_examples.js), line by line, with today's client.
 * The compiled originals run in microsoft-tests.test.ts.
 *
 * Left out, since the service does not have them: managed HSM pools, their keys, regions and private endpoints; secrets of vaults;
 * private endpoint connections and private link resources of vaults; keys made through Resource Manager instead of the vault.
 */
const GROUP = 'myjstest'
const VAULT = 'myvaultzzzz231019'

const cleanups: (() => Promise<void>)[] = []
let endpoints: Endpoints
let client: KeyVaultManagementClient

before(async () => {
  ;({ endpoints } = await cloudFor({ after: (cleanup: () => Promise<void>) => cleanups.push(cleanup) }, [
    '--location',
    'eastus',
  ]))
  const credential = administratorCredential(endpoints)
  await new ArmClient(endpoints, credential).call('PUT', `/resourceGroups/${GROUP}`, '2025-04-01', {
    location: 'eastus',
  })
  const { resourceManager, subscriptionId } = endpoints
  client = new KeyVaultManagementClient(credential, subscriptionId, { endpoint: resourceManager })
})

after(async () => {
  for (const cleanup of cleanups) await cleanup()
})

function parameters(): VaultCreateOrUpdateParameters {
  const { tenantId } = endpoints
  const words = (text: string): string[] => text.split(' ')
  const permissions = {
    keys: words(
      'encrypt decrypt wrapKey unwrapKey sign verify get list create update import delete backup restore recover purge',
    ),
    secrets: words('get list set delete backup restore recover purge'),
    certificates: words(
      'get list delete create import update managecontacts getissuers listissuers setissuers deleteissuers manageissuers recover purge',
    ),
  }
  return {
    location: 'eastus',
    properties: {
      tenantId,
      sku: { family: 'A', name: 'standard' },
      accessPolicies: [{ tenantId, objectId: '00000000-0000-0000-0000-000000000000', permissions }],
      enabledForDeployment: true,
      enabledForDiskEncryption: true,
      enabledForTemplateDeployment: true,
    },
  }
}

async function namesIn(group: string): Promise<(string | undefined)[]> {
  const names = []
  for await (const { name } of client.vaults.listByResourceGroup(group)) names.push(name)
  return names
}

test('vaults create test', async () => {
  const created = await client.vaults.createOrUpdate(GROUP, VAULT, parameters())
  assert.equal(created.name, VAULT)
  const [policy] = created.properties.accessPolicies ?? []
  assert.deepEqual(
    policy?.permissions.certificates,
    parameters().properties.accessPolicies?.[0]?.permissions.certificates,
  )
  assert.equal(created.properties.enabledForTemplateDeployment, true)
})

test('vaults get test', async () => {
  assert.equal((await client.vaults.get(GROUP, VAULT)).name, VAULT)
})

test('vaults list test', async () => {
  assert.equal((await namesIn(GROUP)).length, 1)
})

test('vaults update test', async () => {
  const { properties } = parameters()
  assert.equal((await client.vaults.update(GROUP, VAULT, { properties })).type, 'Microsoft.KeyVault/vaults')
})

test('vaults delete test', async () => {
  await client.vaults.delete(GROUP, VAULT)
  assert.equal((await namesIn(GROUP)).length, 0)
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { administratorOf, newTenant, type Client } from '../arm/arm.fixture.ts'
import { keyClient } from '../../src/harness/azure-client.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const azure = await Azure.in(endpoints)
const account = await azure.account('here')
const file = await account.upload('kept under a key from elsewhere')
const administrator = await administratorOf(endpoints)
const POLICIES = ['create', 'get', 'list']

/** A vault that meets every other requirement, in a new subscription of the client's tenant. */
async function vaultElsewhere(by: Client, name: string): Promise<string> {
  const alias = await by.arm('PUT', `/providers/Microsoft.Subscription/aliases/${name}`, {
    properties: { displayName: name, workload: 'Production' },
  })
  assert.equal(alias.status, 201, JSON.stringify(alias.body))
  const group = `/subscriptions/${alias.body.properties.subscriptionId}/resourceGroups/elsewhere`
  const { location } = endpoints
  assert.equal((await by.arm('PUT', group, { location })).status, 201)
  const { tenantId } = by.login
  const granted = [
    { tenantId, objectId: by.objectId, permissions: { keys: POLICIES } },
    ...(tenantId === endpoints.tenantId
      ? [{ tenantId, objectId: account.principalId, permissions: { keys: ['get', 'wrapKey', 'unwrapKey'] } }]
      : []),
  ]
  const vault = `${group}/providers/Microsoft.KeyVault/vaults/${name}`
  const made = await by.arm('PUT', vault, {
    location,
    properties: {
      tenantId,
      sku: { family: 'A', name: 'standard' },
      enablePurgeProtection: true,
      enableRbacAuthorization: false,
      accessPolicies: granted,
    },
  })
  assert.ok(made.status < 300, JSON.stringify(made.body))
  return vault
}

test('R07: a vault in another subscription of the same tenant is as good as one beside the resource', async () => {
  const vault = await vaultElsewhere(administrator, 'kv-othersub')
  assert.equal(vault.includes(endpoints.subscriptionId), false)
  const keys = keyClient(endpoints, azure.credential, 'kv-othersub')
  const { id } = await keys.createRsaKey('cmk', { keySize: 2048 })
  const enabled = await account.encrypt({ vault: 'kv-othersub', name: 'cmk' })
  assert.equal(enabled.status, 200, JSON.stringify(enabled.body))
  assert.equal((await account.encryption()).status.keyIdentifier, id)
  assert.match((await account.download(file)).toString(), /kept under a key from elsewhere/)
})

test('R07: a vault of another tenant is refused, and both tenants are named', async () => {
  const fabrikam = await newTenant(administrator, 'Fabrikam')
  await vaultElsewhere(fabrikam, 'kv-fabrikam')
  const created = await fetch(`${azure.vaultUri('kv-fabrikam')}keys/cmk/create?api-version=7.5`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await fabrikam.token('https://vault.azure.net')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ kty: 'RSA', key_size: 2048 }),
  })
  assert.equal(created.status, 200, await created.text())
  const { status, body } = await account.encrypt({ vault: 'kv-fabrikam', name: 'cmk' })
  assert.deepEqual([status, body.error.code], [400, 'CustomerManagedKeyRequirementsNotMet'])
  const [detail, ...others] = body.error.details as { code: string; message: string; target: string }[]
  assert.deepEqual(others, [])
  assert.equal(detail?.code, 'R07.TenantMismatch')
  // R27: its tenant may be told, but not its subscription and group.
  assert.equal(detail.target, 'kv-fabrikam')
  assert.ok(detail.message.includes(fabrikam.login.tenantId) && detail.message.includes(endpoints.tenantId))
  assert.match((await account.encryption()).keyVaultProperties.keyVaultUri, /kv-othersub/, 'nothing changed')
})

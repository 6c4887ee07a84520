import type { Principal } from './access.ts'
import type { AccessPolicy, Vault, VaultProperties } from './vault-record.ts'

export const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001'
export const OBJECT = 'bbbbbbbb-0000-4000-8000-000000000001'

export function policyFor(objectId: string, keys: string[], rest: Partial<AccessPolicy> = {}): AccessPolicy {
  return { tenantId: TENANT, objectId, permissions: { keys, secrets: [], certificates: [], storage: [] }, ...rest }
}

export function vaultWith(properties: Partial<VaultProperties> = {}): Vault {
  return {
    id: 'cccccccc-0000-4000-8000-000000000001',
    name: 'kv',
    subscriptionId: 'dddddddd-0000-4000-8000-000000000001',
    group: 'rg',
    location: 'eastus',
    tags: {},
    properties: {
      tenantId: TENANT,
      sku: { family: 'A', name: 'premium' },
      accessPolicies: [],
      enabledForDeployment: false,
      enabledForDiskEncryption: false,
      enabledForTemplateDeployment: false,
      enableSoftDelete: true,
      softDeleteRetentionInDays: 90,
      enableRbacAuthorization: false,
      enablePurgeProtection: false,
      publicNetworkAccess: 'Enabled',
      ...properties,
    },
    createdAt: 0,
    createdBy: '',
    changedAt: 0,
    changedBy: '',
  }
}

export function principal(rest: Partial<Principal> = {}): Principal {
  return { type: 'principal', tenantId: TENANT, objectId: OBJECT, appId: 'app', claims: {}, ...rest }
}

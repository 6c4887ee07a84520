import { noteOperation } from '../audit/request-context.ts'
import type { Route } from '../http/route.ts'
import { put } from '../store/records.ts'
import { updatedPolicies, type PolicyUpdate } from './access-policies.ts'
import type { Outcome } from './audited.ts'
import { findVault } from './find-vault.ts'
import { managementRoute, type ManagementContext } from './management-route.ts'
import { notePolicyChange } from './put-vault.ts'
import type { KeyVaultServices } from './services.ts'
import { vaultResourceId, vaults, type Vault } from './vault-record.ts'
import { accessPoliciesBody } from './vault-requests.ts'
import { VAULT_PATH } from './vault-routes.ts'
import { badRequest, checkPolicyTenants } from './vault-rules.ts'

/** R11 R19 R20: gives permissions and takes them away. */
export function accessPolicyRoutes(services: KeyVaultServices): Route[] {
  return [
    managementRoute(services, {
      method: 'PUT',
      path: `${VAULT_PATH}/accesspolicies/:update`,
      operationName: 'VaultAccessPolicyUpdate',
      action: 'Microsoft.KeyVault/vaults/accessPolicies/write',
      body: accessPoliciesBody,
      run: updatePolicies,
    }),
  ]
}

async function updatePolicies(
  context: ManagementContext,
  body: ReturnType<typeof accessPoliciesBody.parse>,
): Promise<Outcome> {
  const { services, call, now } = context
  noteOperation({ endsAccess: true })
  const update = kindOf(call.params['update'] ?? '')
  const before = await findVault(context)
  const { properties } = before.value
  const given = body.properties.accessPolicies
  checkPolicyTenants(given, properties.tenantId)
  const accessPolicies = updatedPolicies(properties.accessPolicies, update, given)
  const vault: Vault = { ...before.value, properties: { ...properties, accessPolicies }, changedAt: now }
  return {
    body: {
      id: `${vaultResourceId(vault)}/accessPolicies/`,
      type: 'Microsoft.KeyVault/vaults/accessPolicies',
      location: vault.location,
      properties: { accessPolicies },
    },
    changes: [put(vaults, before.id, vault, before.version)],
    properties: { update },
    afterwards: () => notePolicyChange(services, vault, before.value, call.requestId),
  }
}

function kindOf(text: string): PolicyUpdate {
  const kind = text.toLowerCase()
  if (kind === 'add' || kind === 'replace' || kind === 'remove') return kind
  throw badRequest(`Access policies are updated with 'add', 'replace' or 'remove', not '${text.slice(0, 32)}'.`)
}

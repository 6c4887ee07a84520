import { providerOperationsRoute } from '../arm/provider-operations.ts'
import { noteOperation } from '../audit/request-context.ts'
import { AzureError } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { put } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import { findDeletedVault, vaultPage } from './find-vault.ts'
import { managementRoute, type ManagementContext } from './management-route.ts'
import { purgeVault } from './purge-vault.ts'
import type { KeyVaultServices } from './services.ts'
import { invalidVaultName, isVaultName, takenVaultName } from './vault-name.ts'
import { vaultResourceId, vaults } from './vault-record.ts'
import { checkHsmNameBody, checkNameBody } from './vault-requests.ts'
import { deletedVaultBody, deletedVaultId } from './wire-vaults.ts'

const PROVIDER = '/subscriptions/:subscription/providers/microsoft.keyvault'
const DELETED = `${PROVIDER}/locations/:location/deletedvaults/:vault`

/** Actions that roles can allow here, as the provider lists them. */
const OPERATIONS = [
  'vaults/read',
  'vaults/write',
  'vaults/delete',
  'vaults/accessPolicies/write',
  'deletedVaults/read',
  'locations/deletedVaults/read',
  'locations/deletedVaults/purge/action',
  'checkNameAvailability/read',
  'checkMhsmNameAvailability/read',
]

const NO_MANAGED_HSM =
  'There are no managed HSMs here, so no name can be taken for one. For vaults ask POST .../providers/Microsoft.KeyVault/checkNameAvailability.'

/** Soft-deleted vaults, and the question whether a name is free. */
export function deletedVaultRoutes(services: KeyVaultServices): Route[] {
  const get = { method: 'GET', action: 'Microsoft.KeyVault/locations/deletedVaults/read' } as const
  return [
    providerOperationsRoute('Microsoft.KeyVault', 'Microsoft Key Vault', OPERATIONS),
    managementRoute<undefined>(services, {
      ...get,
      path: `${PROVIDER}/deletedvaults`,
      operationName: 'VaultListDeleted',
      action: 'Microsoft.KeyVault/deletedVaults/read',
      run: async context => ({ body: await vaultPage(context, 'deleted', deletedVaultBody) }),
    }),
    managementRoute<undefined>(services, {
      ...get,
      path: DELETED,
      operationName: 'VaultGetDeleted',
      run: async context => ({ body: deletedVaultBody((await findDeletedVault(context)).value) }),
    }),
    managementRoute<undefined>(services, {
      method: 'POST',
      path: `${DELETED}/purge`,
      operationName: 'VaultPurge',
      action: 'Microsoft.KeyVault/locations/deletedVaults/purge/action',
      run: purge,
    }),
    managementRoute(services, {
      method: 'POST',
      path: `${PROVIDER}/checknameavailability`,
      operationName: 'VaultCheckNameAvailability',
      action: 'Microsoft.KeyVault/checkNameAvailability/read',
      maxBody: 4096,
      body: checkNameBody,
      run: checkName,
    }),
    managementRoute(services, {
      method: 'POST',
      path: `${PROVIDER}/checkmhsmnameavailability`,
      operationName: 'ManagedHsmCheckNameAvailability',
      action: 'Microsoft.KeyVault/checkMhsmNameAvailability/read',
      maxBody: 4096,
      body: checkHsmNameBody,
      // `az keyvault check-name` asks only about managed HSMs.
      run: async () => ({ body: { nameAvailable: false, reason: 'AccountNameInvalid', message: NO_MANAGED_HSM } }),
    }),
    ...['deletedmanagedhsms', 'managedhsms'].map(kind =>
      managementRoute<undefined>(services, {
        ...get,
        path: `${PROVIDER}/${kind}`,
        operationName: 'ManagedHsmList',
        action: 'Microsoft.KeyVault/managedHSMs/read',
        // az lists managed HSMs beside the vaults, but there are none here.
        run: async () => ({ body: { value: [] } }),
      }),
    ),
  ]
}

async function purge(context: ManagementContext): Promise<Outcome> {
  const { services } = context
  noteOperation({ deletes: true })
  const { id, version, value } = await findDeletedVault(context)
  // R08: nobody purges a protected vault before its retention period is over.
  if (value.properties.enablePurgeProtection) {
    throw new AzureError(
      'MethodNotAllowed',
      405,
      `Operation 'DeletedVaultPurge' is not allowed. Purge protection is on: the vault goes by itself on ${new Date(value.deleted?.purgeAt ?? 0).toISOString()}.`,
      { target: deletedVaultId(value) },
    )
  }
  return {
    status: 200,
    changes: [put(vaults, id, { ...value, purging: true }, version)],
    id: vaultResourceId(value),
    afterwards: () => purgeVault(services, value),
  }
}

async function checkName(
  { services }: ManagementContext,
  { name }: ReturnType<typeof checkNameBody.parse>,
): Promise<Outcome> {
  if (!isVaultName(name)) {
    return { body: { nameAvailable: false, reason: 'AccountNameInvalid', message: invalidVaultName(name) } }
  }
  const taken = (await services.records.get(vaults, name.toLowerCase())) !== undefined
  if (!taken) return { body: { nameAvailable: true } }
  return { body: { nameAvailable: false, reason: 'AlreadyExists', message: takenVaultName(name) } }
}

import type { Route } from '../http/route.ts'
import { put, type Change, type Stored } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import { findVault, isPlacedIn, vaultNamed, vaultPage } from './find-vault.ts'
import { deletion } from './key-record.ts'
import { managementRoute, type ManagementContext } from './management-route.ts'
import { purgeVault } from './purge-vault.ts'
import { changeVault, putVault } from './put-vault.ts'
import type { KeyVaultServices } from './services.ts'
import { vaultResourceId, vaults, type Vault } from './vault-record.ts'
import { patchVaultBody, putVaultBody } from './vault-requests.ts'
import { patchedVaultProperties } from './vault-rules.ts'
import { vaultBody } from './wire-vaults.ts'

const PROVIDER = '/providers/microsoft.keyvault/vaults'
const SUBSCRIPTION = '/subscriptions/:subscription'
const GROUP = `${SUBSCRIPTION}/resourcegroups/:group`
export const VAULT_PATH = `${GROUP}${PROVIDER}/:vault`

/** Microsoft.KeyVault/vaults: create, change, read, delete, list. */
export function vaultRoutes(services: KeyVaultServices): Route[] {
  const write = { path: VAULT_PATH, action: 'Microsoft.KeyVault/vaults/write' } as const
  const read = { method: 'GET', action: 'Microsoft.KeyVault/vaults/read' } as const
  const list = { ...read, operationName: 'VaultList', run: listAll } as const
  return [
    managementRoute(services, {
      ...write,
      method: 'PUT',
      operationName: 'VaultPut',
      body: putVaultBody,
      run: putVault,
    }),
    managementRoute(services, {
      ...write,
      method: 'PATCH',
      operationName: 'VaultPatch',
      body: patchVaultBody,
      run: patchVault,
    }),
    managementRoute<undefined>(services, { ...read, path: VAULT_PATH, operationName: 'VaultGet', run: getVault }),
    managementRoute<undefined>(services, {
      method: 'DELETE',
      path: VAULT_PATH,
      operationName: 'VaultDelete',
      action: 'Microsoft.KeyVault/vaults/delete',
      run: deleteVault,
    }),
    managementRoute<undefined>(services, { ...list, path: `${SUBSCRIPTION}${PROVIDER}` }),
    managementRoute<undefined>(services, { ...list, path: `${GROUP}${PROVIDER}` }),
  ]
}

async function getVault(context: ManagementContext): Promise<Outcome> {
  const { value: vault } = await findVault(context)
  return { body: vaultBody(vault, context.services.vaultUri(vault.name)) }
}

async function patchVault(context: ManagementContext, body: ReturnType<typeof patchVaultBody.parse>): Promise<Outcome> {
  const before = await findVault(context)
  const properties = patchedVaultProperties(before.value.properties, body.properties ?? {})
  return changeVault(context, before, { ...before.value, tags: body.tags ?? before.value.tags, properties })
}

async function deleteVault(context: ManagementContext): Promise<Outcome> {
  const { services, call, subscriptionId, now } = context
  const { group = '', vault: name = '' } = call.params
  const before = await vaultNamed(services, name)
  if (before === undefined || before.value.deleted !== undefined || !isPlacedIn(before.value, subscriptionId, group)) {
    return { status: 204 }
  }
  return { status: 200, ...vaultDeletion(services, before, now), id: vaultResourceId(before.value) }
}

/** R08: a vault is deleted with its keys, which come back with it. */
export function vaultDeletion(
  services: KeyVaultServices,
  before: Stored<Vault>,
  now: number,
): { changes: Change[]; afterwards: () => Promise<void> } {
  const vault = { ...before.value, deleted: deletion(before.value, now) }
  const { enableSoftDelete } = vault.properties
  return {
    changes: [put(vaults, before.id, enableSoftDelete ? vault : { ...vault, purging: true }, before.version)],
    afterwards: async () => {
      services.materials.forget(`${vault.id}/`)
      if (!enableSoftDelete) await purgeVault(services, vault)
    },
  }
}

async function listAll(context: ManagementContext): Promise<Outcome> {
  const { services, call, subscriptionId } = context
  const { group } = call.params
  if (group !== undefined) await services.resourceManager.group(subscriptionId, group)
  return { body: await vaultPage(context, 'live', vault => vaultBody(vault, services.vaultUri(vault.name))) }
}

import type { GenericResource, Place, ResourceType, Tags, TenantChangeFinding } from '../arm/resource-manager.ts'
import { Conflict } from '../http/errors.ts'
import { allRecords } from '../store/every-record.ts'
import { put, type Change, type Stored } from '../store/records.ts'
import { systemEvent } from '../audit/audit-event.ts'
import { diagnosticSettings } from './diagnostic-setting.ts'
import { listVaults } from './find-vault.ts'
import { VAULT_API_VERSIONS } from './management-route.ts'
import type { KeyVaultServices } from './services.ts'
import { liveVault, vaultResourceId, vaults, VAULT_TYPE, type Vault } from './vault-record.ts'
import { vaultDeletion } from './vault-routes.ts'

/** Vaults as Resource Manager lists, moves, tags and deletes them with their group. */
export function vaultResourceType(services: KeyVaultServices): ResourceType {
  const find = async ({ id, name }: GenericResource): Promise<Stored<Vault> | undefined> => {
    const found = await liveVault(services.records, name)
    return found !== undefined && vaultResourceId(found.value).toLowerCase() === id.toLowerCase() ? found : undefined
  }
  return {
    type: VAULT_TYPE,
    apiVersions: VAULT_API_VERSIONS,
    list: async (subscriptionId, group) => (await listVaults(services, 'live', subscriptionId, group)).map(shown),
    delete: (resource, fence) =>
      services.inTurn(resource.name.toLowerCase(), async () => {
        const found = await find(resource)
        if (found === undefined) return
        const { changes, afterwards } = vaultDeletion(services, found, services.env.now())
        const subject = { operationName: 'VaultDelete', resourceId: resource.id, id: resource.id }
        const entry = systemEvent(services.env.now(), services.env.uuid(), subject)
        // The deletion of its group may go on after a stop, without a request.
        await services.audit.append(entry, [...fence, ...changes], { reserve: 'last' })
        await afterwards()
      }),
    async move(resource, to) {
      const found = await find(resource)
      if (found !== undefined) return moved(services, found, to)
      throw new Conflict('ResourceNotFound', `The vault '${resource.name}' is not there any more.`)
    },
    beforeTenantChange: async subscriptionId => (await listVaults(services, 'live', subscriptionId)).map(keepsTenant),
    async setTags(resource, tags: Tags) {
      const found = await find(resource)
      return found === undefined ? [] : [put(vaults, found.id, { ...found.value, tags }, found.version)]
    },
  }
}

/** The vault with its diagnostic settings, which name it by its id. R32: its tenantId stays. */
async function moved(
  services: KeyVaultServices,
  stored: Stored<Vault>,
  { subscriptionId, group }: Place,
): Promise<Change[]> {
  const vault: Vault = { ...stored.value, subscriptionId, group }
  const settings = await allRecords(services.records, diagnosticSettings, { prefix: `${vault.id}/` })
  const resourceId = vaultResourceId(vault).toUpperCase()
  return [
    put(vaults, stored.id, vault, stored.version),
    ...settings.map(({ id, value, version }) => put(diagnosticSettings, id, { ...value, resourceId }, version)),
  ]
}

/** R32 */
function keepsTenant(vault: Vault): TenantChangeFinding {
  const { tenantId } = vault.properties
  return {
    code: 'VaultKeepsTenant',
    target: vaultResourceId(vault),
    message: `The vault '${vault.name}' keeps the tenant ${tenantId}: its access policies name principals of that tenant, and no principal of the new one has access.`,
    remedy: `After the move, set its tenantId to the new tenant and its access policies anew: az keyvault update --name ${vault.name} --set properties.tenantId=<tenant> properties.accessPolicies=[]`,
  }
}

function shown(vault: Vault): GenericResource {
  const { name, location, tags } = vault
  return { id: vaultResourceId(vault), name, type: VAULT_TYPE, location, tags }
}

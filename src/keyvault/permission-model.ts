import { AzureError } from '../http/errors.ts'
import type { ManagementContext } from './management-route.ts'
import { vaultResourceId, type Vault } from './vault-record.ts'

const ACTION = 'Microsoft.Authorization/roleAssignments/write'

/**
 * R10: only a caller who may assign roles on a vault can switch it between access policies and RBAC. Otherwise anybody who manages it
 * could leave RBAC mode and give themselves its keys. @throws 400 InsufficientPermissions, as Azure
 */
export async function checkModelChange(
  { services, call }: ManagementContext,
  before: Vault,
  after: Vault,
): Promise<void> {
  if (before.properties.enableRbacAuthorization === after.properties.enableRbacAuthorization) return
  const resource = vaultResourceId(before)
  try {
    await services.resourceManager.authorize(call.caller, resource, ACTION)
  } catch (error) {
    if (!(error instanceof AzureError) || error.code !== 'AuthorizationFailed') throw error
    const oid = call.caller.type === 'principal' ? call.caller.objectId : ''
    throw new AzureError(
      'InsufficientPermissions',
      400,
      'Caller is not allowed to change permission model. For more information on how to change the permissions model follow this link: ' +
        `https://go.microsoft.com/fwlink/?linkid=2155160. Details: oid=${oid}; action=${ACTION}; resource=${resource}; decision=NotAllowed;`,
      { target: 'properties.enableRbacAuthorization', cause: error },
    )
  }
}

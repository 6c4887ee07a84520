import type { Caller } from '../http/route.ts'
import type { Forbidden } from '../http/errors.ts'
import { forbidden, vaultLabel } from './errors.ts'
import { dataAction, type KeyPermission } from './permissions.ts'
import type { AccessPolicy, Vault } from './vault-record.ts'

export type Principal = Extract<Caller, { type: 'principal' }>

/** R10 R11 R19 R20: whether one of the vault's access policies gives the principal this permission on keys. */
export function policiesAllow(vault: Vault, principal: Principal, permission: KeyPermission): boolean {
  const { accessPolicies, tenantId } = vault.properties
  if (principal.tenantId !== tenantId) return false
  const identities = new Set([principal.objectId.toLowerCase(), ...groupsOf(principal)])
  const wanted = permission.toLowerCase()
  return accessPolicies.some(
    policy =>
      policy.tenantId === tenantId &&
      identities.has(policy.objectId.toLowerCase()) &&
      actsThrough(policy, principal) &&
      policy.permissions.keys.some(given => given.toLowerCase() === wanted || given.toLowerCase() === 'all'),
  )
}

/** A compound identity counts only while its application calls on the user's behalf. */
function actsThrough(policy: AccessPolicy, principal: Principal): boolean {
  return policy.applicationId === undefined || policy.applicationId.toLowerCase() === principal.appId.toLowerCase()
}

function groupsOf(principal: Principal): string[] {
  const groups = principal.claims['groups']
  if (!Array.isArray(groups)) return []
  return groups.filter(group => typeof group === 'string').map(group => group.toLowerCase())
}

/** `appid=…;oid=…;iss=…`, as Key Vault names a caller in its messages. */
export function callerLabel(principal: Principal): string {
  const issuer = principal.claims['iss']
  const iss = typeof issuer === 'string' ? issuer : `https://sts.windows.net/${principal.tenantId}/`
  return `appid=${principal.appId};oid=${principal.objectId};iss=${iss}`
}

export function deniedByPolicy(vault: Vault, principal: Principal, permission: KeyPermission): Forbidden {
  return forbidden(
    'ForbiddenByPolicy',
    `The user, group or application '${callerLabel(principal)}' does not have keys ${permission} permission on key vault ` +
      `'${vaultLabel(vault)}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
  )
}

/** `scope`: the id of the vault or of the key in it. */
export function deniedByRbac(vault: Vault, principal: Principal, permission: KeyPermission, scope: string): Forbidden {
  return forbidden(
    'ForbiddenByRbac',
    [
      'Caller is not authorized to perform action on resource.',
      'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
      `Caller: ${callerLabel(principal)}`,
      `Action: '${dataAction(permission)}'`,
      `Resource: '${scope.toLowerCase()}'`,
      'Assignment: (not found)',
      'DenyAssignmentId: null',
      "DecisionReason: 'DeniedWithNoValidRBAC' ",
      `Vault: ${vaultLabel(vault)}`,
      '',
    ].join('\r\n'),
  )
}

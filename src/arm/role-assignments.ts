import { z } from 'zod'
import { AzureError, Conflict, NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { put, remove, VersionConflict, type Stored } from '../store/records.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { MAX_ASSIGNMENTS } from './open-resource-manager.ts'
import { assignmentPrefix, roleAssignments } from './records.ts'
import { scopeKey } from './resource-id.ts'
import { roleById, type RoleAssignment } from './roles.ts'
import type { Scope } from './scope.ts'

const fields = z.object({
  roleDefinitionId: z.string().min(1).max(500),
  principalId: z.string().min(1).max(64),
  principalType: z.string().max(32).nullish(),
  description: z.string().max(1024).nullish(),
  condition: z.string().max(8192).nullish(),
})

/** Newer clients send `properties`, some older ones the fields alone. */
export const assignmentBody = z.union([
  z.object({ properties: fields }),
  fields.transform(properties => ({ properties })),
])

export type AssignmentBody = z.infer<typeof assignmentBody>

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Every assignment of the subscription (or, at the root, of the tenant). */
export async function assignmentsNear(
  options: ArmOptions,
  scope: string,
  tenantId: string,
): Promise<Stored<RoleAssignment>[]> {
  return allRecords(options.records, roleAssignments, { prefix: assignmentPrefix(scope, tenantId) })
}

/** @throws 404 RoleAssignmentNotFound where no assignment of that name is at exactly this scope */
export async function findAssignment(
  options: ArmOptions,
  scope: string,
  tenantId: string,
  name: string,
): Promise<Stored<RoleAssignment>> {
  const found = await storedAssignment(options, scope, tenantId, name)
  if (found !== undefined && scopeKey(found.value.scope) === scopeKey(scope)) return found
  throw new NotFound('RoleAssignmentNotFound', `The role assignment '${name.slice(0, 64)}' is not found.`)
}

async function storedAssignment(
  { records }: ArmOptions,
  scope: string,
  tenantId: string,
  name: string,
): Promise<Stored<RoleAssignment> | undefined> {
  if (!UUID.test(name)) return undefined
  return records.get(roleAssignments, `${assignmentPrefix(scope, tenantId)}${name.toLowerCase()}`)
}

/** Gives a principal of the subscription's tenant a role. Repeating it changes nothing. */
export async function createAssignment(
  options: ArmOptions,
  call: Call,
  scope: Scope,
  tenantId: string,
  { properties }: AssignmentBody,
): Promise<Response> {
  const name = (call.params['assignment'] ?? '').toLowerCase()
  if (!UUID.test(name)) {
    throw new AzureError(
      'InvalidRoleAssignmentId',
      400,
      `The role assignment ID '${name.slice(0, 64)}' is not valid. The role assignment ID must be a GUID.`,
    )
  }
  const wanted = await checked(options, scope, tenantId, properties)
  const before = await storedAssignment(options, scope.id, tenantId, name)
  if (before !== undefined) return repeated(before.value, wanted, tenantId)
  const near = await assignmentsNear(options, scope.id, tenantId)
  if (near.length >= MAX_ASSIGNMENTS) {
    throw new AzureError(
      'RoleAssignmentLimitExceeded',
      400,
      `No more role assignments can be created (maximum is ${MAX_ASSIGNMENTS}). Delete some first.`,
    )
  }
  if (near.some(({ value }) => isSame(value, wanted))) throw exists()
  const createdBy = call.caller.type === 'principal' ? call.caller.objectId : ''
  const value: RoleAssignment = { ...wanted, name, createdOn: new Date(options.env.now()).toISOString(), createdBy }
  const { principalId, roleDefinitionId } = value
  const entry = armAudit('Microsoft.Authorization/roleAssignments/write', scope.id, {
    principalId,
    roleDefinitionId,
  })
  try {
    await options.audit.append(entry, [
      put(roleAssignments, `${assignmentPrefix(scope.id, tenantId)}${name}`, value, 0),
    ])
  } catch (error) {
    throw error instanceof VersionConflict ? exists() : error
  }
  return json(showAssignment(value, tenantId), { status: 201 })
}

export async function deleteAssignment(options: ArmOptions, stored: Stored<RoleAssignment>): Promise<void> {
  const { scope, principalId, roleDefinitionId } = stored.value
  const entry = armAudit('Microsoft.Authorization/roleAssignments/delete', scope, {
    principalId,
    roleDefinitionId,
  })
  await options.audit.append(entry, [remove(roleAssignments, stored.id)])
}

async function checked(
  { directory }: ArmOptions,
  scope: Scope,
  tenantId: string,
  given: AssignmentBody['properties'],
): Promise<Omit<RoleAssignment, 'name' | 'createdOn' | 'createdBy'>> {
  if (given.condition != null && given.condition !== '') {
    throw new AzureError(
      'RoleAssignmentConditionNotSupported',
      400,
      'Conditions of role assignments are not offered here: leave condition empty.',
      { target: 'properties.condition' },
    )
  }
  const role = roleById(given.roleDefinitionId)
  if (role === undefined) {
    throw new AzureError(
      'RoleDefinitionDoesNotExist',
      400,
      `The specified role definition with ID '${given.roleDefinitionId.slice(-64)}' does not exist.`,
      { target: 'properties.roleDefinitionId' },
    )
  }
  const principalId = given.principalId.toLowerCase()
  const principal = UUID.test(principalId) ? await directory.principal(principalId) : undefined
  if (principal?.tenantId !== tenantId) {
    throw new AzureError(
      'PrincipalNotFound',
      400,
      `Principal ${principalId.replaceAll('-', '')} does not exist in the directory ${tenantId}. Check that you have the object id of the principal, not its application id.`,
      { target: 'properties.principalId' },
    )
  }
  return {
    scope: scope.id,
    roleDefinitionId: role.id,
    principalId,
    principalType: principal.kind === 'user' ? 'User' : 'ServicePrincipal',
    ...(given.description == null ? {} : { description: given.description }),
  }
}

function repeated(
  before: RoleAssignment,
  wanted: Pick<RoleAssignment, 'scope' | 'roleDefinitionId' | 'principalId'>,
  tenantId: string,
): Response {
  if (isSame(before, wanted)) return json(showAssignment(before, tenantId))
  throw new AzureError(
    'RoleAssignmentUpdateNotPermitted',
    400,
    "Tenant ID, application ID, principal ID, role and scope of a role assignment can't be updated. Choose another name (GUID) for a new one.",
  )
}

function isSame(
  a: Pick<RoleAssignment, 'scope' | 'roleDefinitionId' | 'principalId'>,
  b: Pick<RoleAssignment, 'scope' | 'roleDefinitionId' | 'principalId'>,
): boolean {
  return (
    a.principalId === b.principalId &&
    a.roleDefinitionId === b.roleDefinitionId &&
    scopeKey(a.scope) === scopeKey(b.scope)
  )
}

function exists(): Conflict {
  return new Conflict('RoleAssignmentExists', 'The role assignment already exists.')
}

export function showAssignment(assignment: RoleAssignment, tenantId: string): object {
  const { name, scope, roleDefinitionId, principalId, principalType, description, createdOn, createdBy } = assignment
  const at = scope === '/' ? '' : scope
  const roleAt = /^\/subscriptions\/[^/]+/.exec(scope)?.[0] ?? ''
  return {
    id: `${at}/providers/Microsoft.Authorization/roleAssignments/${name}`,
    name,
    type: 'Microsoft.Authorization/roleAssignments',
    properties: {
      scope,
      roleDefinitionId: `${roleAt}/providers/Microsoft.Authorization/roleDefinitions/${roleDefinitionId}`,
      principalId,
      principalType: principalType ?? 'ServicePrincipal',
      ...(description === undefined ? {} : { description }),
      condition: null,
      conditionVersion: null,
      delegatedManagedIdentityResourceId: null,
      createdOn,
      updatedOn: createdOn,
      createdBy: createdBy ?? null,
      updatedBy: createdBy ?? null,
      tenantId,
    },
  }
}

import { BUILT_IN_ROLES, type RoleDefinition } from './built-in-roles.ts'
import { isWithin } from './resource-id.ts'

export interface RoleAssignment {
  /** GUID: the assignment's name. */
  readonly name: string
  readonly scope: string
  /** The role definition's GUID. */
  readonly roleDefinitionId: string
  readonly principalId: string
  readonly principalType?: string
  readonly description?: string
  readonly createdOn: string
  /** Object id of the principal who assigned it; absent: the service itself. */
  readonly createdBy?: string
}

/** By GUID, or by the id of a role definition at any scope. */
export function roleById(id: string): RoleDefinition | undefined {
  const guid = id.toLowerCase().split('/').at(-1)
  return BUILT_IN_ROLES.find(role => role.id === guid)
}

/** Whether one of the assignments gives the principal this action (or data action) at the scope. */
export function isAllowed(
  assignments: readonly RoleAssignment[],
  principalId: string,
  scope: string,
  action: string,
  plane: 'management' | 'data',
): boolean {
  return assignments.some(assignment => {
    if (assignment.principalId !== principalId || !isWithin(scope, assignment.scope)) return false
    const definition = roleById(assignment.roleDefinitionId)
    if (definition === undefined) return false
    const [granted, excluded] =
      plane === 'management'
        ? [definition.actions, definition.notActions]
        : [definition.dataActions, definition.notDataActions]
    return granted.some(pattern => matches(pattern, action)) && !excluded.some(pattern => matches(pattern, action))
  })
}

/** Azure's action patterns: `*` matches any characters, slashes included; letter case is ignored. */
function matches(pattern: string, action: string): boolean {
  const parts = pattern.toLowerCase().split('*')
  const text = action.toLowerCase()
  const [first = '', ...rest] = parts
  if (!text.startsWith(first)) return false
  let position = first.length
  for (const [index, part] of rest.entries()) {
    const last = index === rest.length - 1
    const found = last ? text.length - part.length : text.indexOf(part, position)
    if (found < position || !text.startsWith(part, found)) return false
    position = found + part.length
  }
  return position === text.length
}

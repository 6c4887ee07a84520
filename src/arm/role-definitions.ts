import { AzureError, NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { apiVersion } from './api-version.ts'
import type { ArmOptions } from './arm-options.ts'
import { BUILT_IN_ROLES, type RoleDefinition } from './built-in-roles.ts'
import { invalidFilter, parseFilter } from './filter.ts'
import { page } from './paging.ts'
import { roleById } from './roles.ts'
import { scopeOf } from './scope.ts'

const PATH = '/providers/microsoft.authorization/roledefinitions'
const EXAMPLE = "roleName eq 'Reader'"

/** The built-in roles. Custom roles are not offered. */
export function roleDefinitionRoutes(options: ArmOptions): Route[] {
  const { resourceManager } = options
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0 } as const
  const enter = async (call: Call): Promise<string> => {
    apiVersion(call)
    const scope = scopeOf(call)
    // All callers see the same roles, so, as on Azure, nobody needs a role to read them at the root.
    if (scope !== '/')
      await resourceManager.authorize(call.caller, scope, 'Microsoft.Authorization/roleDefinitions/read')
    return scope
  }
  const list = async (call: Call): Promise<Response> => {
    const scope = await enter(call)
    const wanted = roleFilter(call.query.get('$filter'))
    return page(call, BUILT_IN_ROLES.filter(wanted), role => showRole(role, scope))
  }
  const get = async (call: Call): Promise<Response> => {
    const scope = await enter(call)
    const name = call.params['role'] ?? ''
    const role = roleById(name)
    if (role !== undefined) return json(showRole(role, scope))
    throw new NotFound(
      'RoleDefinitionDoesNotExist',
      `The specified role definition with ID '${name.slice(0, 64)}' does not exist.`,
    )
  }
  const refuse = async (call: Call): Promise<Response> => {
    const scope = await enter(call)
    await resourceManager.authorize(
      call.caller,
      scope,
      `Microsoft.Authorization/roleDefinitions/${call.method === 'PUT' ? 'write' : 'delete'}`,
    )
    throw new AzureError(
      'CustomRolesNotSupported',
      400,
      'Custom roles are not offered here: use one of the built-in roles.',
    )
  }
  return ['', '/:scope*'].flatMap((scope): Route[] => [
    { ...base, path: `${scope}${PATH}`, handler: list },
    { ...base, path: `${scope}${PATH}/:role`, handler: get },
    { ...base, method: 'PUT', maxBody: 64 * 1024, path: `${scope}${PATH}/:role`, handler: refuse },
    { ...base, method: 'DELETE', path: `${scope}${PATH}/:role`, handler: refuse },
  ])
}

/** `atScope()` and `atScopeAndBelow()` change nothing: built-in roles are everywhere. */
function roleFilter(filter: string | undefined): (role: RoleDefinition) => boolean {
  const tests = parseFilter(filter, EXAMPLE).map((term): ((role: RoleDefinition) => boolean) => {
    if (term.type === 'call') {
      if (term.name.startsWith('atscope')) return () => true
      throw invalidFilter(`there is no '${term.name}' here`, EXAMPLE)
    }
    const value = term.value.toLowerCase()
    const is = (text: string): boolean => (text.toLowerCase() === value) === (term.operator === 'eq')
    if (term.field === 'rolename') return role => is(role.roleName)
    if (term.field === 'name') return role => is(role.id)
    if (term.field === 'type') return () => is('BuiltInRole')
    throw invalidFilter(`there is no field '${term.field}' here`, EXAMPLE)
  })
  return role => tests.every(passes => passes(role))
}

function showRole(role: RoleDefinition, scope: string): object {
  const { id, roleName, description, actions, notActions, dataActions, notDataActions } = role
  const at = scope === '/' ? '' : `/${scope.split('/').slice(1, 3).join('/')}`
  return {
    id: `${at}/providers/Microsoft.Authorization/roleDefinitions/${id}`,
    name: id,
    type: 'Microsoft.Authorization/roleDefinitions',
    properties: {
      roleName,
      type: 'BuiltInRole',
      description,
      assignableScopes: ['/'],
      permissions: [{ actions, notActions, dataActions, notDataActions }],
      createdOn: '2015-01-01T00:00:00.0000000Z',
      updatedOn: '2015-01-01T00:00:00.0000000Z',
      createdBy: null,
      updatedBy: null,
    },
  }
}

import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { apiVersion } from './api-version.ts'
import type { ArmOptions } from './arm-options.ts'
import { invalidFilter, parseFilter } from './filter.ts'
import { page } from './paging.ts'
import { isWithin } from './resource-id.ts'
import {
  assignmentBody,
  assignmentsNear,
  createAssignment,
  deleteAssignment,
  findAssignment,
  showAssignment,
} from './role-assignments.ts'
import { roleById, type RoleAssignment } from './roles.ts'
import { findScope, scopeOf } from './scope.ts'

const AUTHORIZATION = '/providers/microsoft.authorization'
const ASSIGNMENTS = `${AUTHORIZATION}/roleassignments`
const EXAMPLE = "atScope() and principalId eq '<object id>'"

interface Entered {
  readonly scope: string
  /** The tenant whose principals may be assigned roles at the scope. */
  readonly tenantId: string
}

/** Role assignments at every scope. An assignment also holds below its scope. */
export function roleAssignmentRoutes(options: ArmOptions): Route[] {
  const enter = async (call: Call, action: string): Promise<Entered> => {
    apiVersion(call)
    const scope = scopeOf(call)
    await options.resourceManager.authorize(call.caller, scope, `Microsoft.Authorization/${action}`)
    return { scope, tenantId: call.caller.type === 'principal' ? call.caller.tenantId : '' }
  }
  const one = async (call: Call): Promise<Response> => {
    const { scope, tenantId } = await enter(call, 'roleAssignments/read')
    const found = await findAssignment(options, scope, tenantId, call.params['assignment'] ?? '')
    return json(showAssignment(found.value, tenantId))
  }
  const create = async (call: Call): Promise<Response> => {
    const { scope, tenantId } = await enter(call, 'roleAssignments/write')
    const body = await call.json(assignmentBody)
    return createAssignment(options, call, await findScope(options, scope), tenantId, body)
  }
  const end = async (call: Call): Promise<Response> => {
    const { scope, tenantId } = await enter(call, 'roleAssignments/delete')
    const found = await findAssignment(options, scope, tenantId, call.params['assignment'] ?? '').catch(() => undefined)
    if (found === undefined) return empty(204)
    await deleteAssignment(options, found)
    return json(showAssignment(found.value, tenantId))
  }
  const list = async (call: Call): Promise<Response> => {
    const { scope, tenantId } = await enter(call, 'roleAssignments/read')
    const wanted = assignmentFilter(call.query.get('$filter'), scope)
    const near = await assignmentsNear(options, scope, tenantId)
    const root = scope === '/' ? [] : await assignmentsNear(options, '/', tenantId)
    const found = [...root, ...near].map(({ value }) => value).filter(wanted)
    return page(call, found, value => showAssignment(value, tenantId))
  }
  const base = { host: 'management', auth: 'management', maxBody: 0 } as const
  return ['', '/:scope*'].flatMap((scope): Route[] => [
    { ...base, method: 'GET', path: `${scope}${ASSIGNMENTS}`, handler: list },
    { ...base, method: 'GET', path: `${scope}${ASSIGNMENTS}/:assignment`, handler: one },
    { ...base, method: 'PUT', path: `${scope}${ASSIGNMENTS}/:assignment`, maxBody: 64 * 1024, handler: create },
    { ...base, method: 'DELETE', path: `${scope}${ASSIGNMENTS}/:assignment`, handler: end },
    {
      ...base,
      method: 'GET',
      path: `${scope}${AUTHORIZATION}/permissions`,
      handler: call => permissions(options, call),
    },
    {
      ...base,
      method: 'GET',
      path: `${scope}${AUTHORIZATION}/denyassignments`,
      handler: async call => (await enter(call, 'denyAssignments/read'), json({ value: [] })),
    },
  ])
}

/** What the caller's own roles allow at the scope; empty for callers without roles. */
async function permissions(options: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const scope = scopeOf(call)
  const { caller } = call
  if (caller.type !== 'principal') return json({ value: [] })
  const near = await assignmentsNear(options, scope, caller.tenantId)
  const root = scope === '/' ? [] : await assignmentsNear(options, '/', caller.tenantId)
  const own = [...root, ...near].filter(
    ({ value }) => value.principalId === caller.objectId && isWithin(scope, value.scope),
  )
  return page(
    call,
    own.map(({ value }) => roleById(value.roleDefinitionId)).filter(role => role !== undefined),
    role => {
      const { actions, notActions, dataActions, notDataActions } = role
      return { actions, notActions, dataActions, notDataActions }
    },
  )
}

/** Without a filter: assignments that hold at the scope, and those below it. `atScope()` leaves out those below. */
function assignmentFilter(filter: string | undefined, scope: string): (assignment: RoleAssignment) => boolean {
  const above = (assignment: RoleAssignment): boolean => isWithin(scope, assignment.scope)
  const tests = parseFilter(filter, EXAMPLE).map((term): ((assignment: RoleAssignment) => boolean) => {
    if (term.type === 'call') {
      const [principal = ''] = term.arguments
      if (term.name === 'atscope') return above
      if (term.name === 'assignedto') return ({ principalId }) => principalId === principal.toLowerCase()
      throw invalidFilter(`there is no '${term.name}' here`, EXAMPLE)
    }
    const value = term.value.toLowerCase()
    const is = (text: string): boolean => (text === value) === (term.operator === 'eq')
    if (term.field === 'principalid') return ({ principalId }) => is(principalId)
    if (term.field === 'roledefinitionid')
      return ({ roleDefinitionId }) => (roleDefinitionId === value.split('/').at(-1)) === (term.operator === 'eq')
    throw invalidFilter(`there is no field '${term.field}' here`, EXAMPLE)
  })
  return assignment =>
    (above(assignment) || isWithin(assignment.scope, scope)) && tests.every(passes => passes(assignment))
}

import { randomUUID } from 'node:crypto'
import { BUILT_IN_ROLES } from '../arm/built-in-roles.ts'
import type { Directory } from './directories.ts'
import { objectIdOf, type Places } from './places.ts'
import { itemsOf, type Effect, type SeedRun } from './seed-run.ts'

const VERSION = 'api-version=2022-04-01'
const ASSIGNMENTS = 'providers/Microsoft.Authorization/roleAssignments'

/** Roles at subscriptions, groups, vaults and accounts. */
export async function seedRoles(run: SeedRun, places: Places): Promise<void> {
  for (const { directory, id, item } of places.scopes)
    for (const { value, at } of itemsOf(item.value.roleAssignments, ...item.at, 'roleAssignments')) {
      const { role, ...who } = value
      await run.item(`role ${role} at ${id.split('/').at(-1)}`, at, count =>
        assignRole({ directory, scope: id, role }, objectIdOf(places, directory, who), count),
      )
    }
}

/** Assigns a role at the scope itself, unless that is done already. */
export async function assignRole(
  { directory, scope, role }: { directory: Directory; scope: string; role: string },
  principalId: string,
  count: (effect: Effect) => void,
): Promise<void> {
  const { client } = directory
  const definition = BUILT_IN_ROLES.find(({ roleName }) => roleName === role)?.id ?? ''
  const filter = encodeURIComponent(`principalId eq '${principalId}'`)
  const { value } = await client.arm<{
    value: { properties: { scope: string; roleDefinitionId: string } }[]
  }>('GET', `${scope}/${ASSIGNMENTS}?$filter=${filter}&${VERSION}`)
  const has = value.some(
    ({ properties }) =>
      properties.scope.toLowerCase() === scope.toLowerCase() && properties.roleDefinitionId.endsWith(definition),
  )
  if (has) return count('same')
  const subscription = scope.split('/').slice(0, 3).join('/')
  const roleDefinitionId = `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${definition}`
  await client.arm('PUT', `${scope}/${ASSIGNMENTS}/${randomUUID()}?${VERSION}`, {
    properties: { roleDefinitionId, principalId },
  })
  return count('made')
}

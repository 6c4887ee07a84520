import type { Env } from '../base/env.ts'
import { allRecords } from '../store/every-record.ts'
import { leaveOut, put, remove, type Change, type RecordStore } from '../store/records.ts'
import { administratorRoles, tenantOwner } from './first-subscription.ts'
import { assignmentPrefix, roleAssignments } from './records.ts'

/**
 * The changes that move the roles of an older folder to their current ids. Earlier their ids were their bare names. Before that there
 * were no roles, and the administrator could do everything. Administrators keep their rights. Empty for a newer folder.
 */
export async function olderRoles(
  records: RecordStore,
  env: Env,
  given: { readonly tenantId: string; readonly subscriptionId: string; readonly administrators: readonly string[] },
): Promise<Change[]> {
  const { tenantId, administrators } = given
  if ((await records.count(roleAssignments)) === 0) return administratorRoles(env, given, administrators)
  const found = await allRecords(records, roleAssignments, { onTampered: leaveOut })
  const bare = found.filter(({ id }) => !id.includes('/'))
  if (bare.length === 0) return []
  return [
    ...bare.flatMap(({ id, version, value }) => [
      remove(roleAssignments, id, version),
      put(roleAssignments, `${assignmentPrefix(value.scope, tenantId)}${value.name}`, value, 0),
    ]),
    ...administrators.map(principalId => tenantOwner(env, tenantId, principalId)),
  ]
}

import { NotFound } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { allRecords, everyRecord } from '../store/every-record.ts'
import { leaveOut, put, remove, type Change, type Stored } from '../store/records.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import type { Operation } from './operations.ts'
import { groupKey, groups, roleAssignments } from './records.ts'
import { scopeKey } from './resource-id.ts'
import type { ResourceGroup } from './resource-manager.ts'

/** Rounds of looking for what came in while the group was being emptied. */
const MAX_ROUNDS = 5

/** Begins to delete a group with everything in it, and answers 202. A second request joins the first. */
export async function deleteGroup(options: ArmOptions, call: Call, group: ResourceGroup): Promise<Response> {
  const { records, env, audit, operations } = options
  const operationId = env.uuid()
  const key = groupKey(group.subscriptionId, group.name)
  const stored = await records.get(groups, key)
  if (stored === undefined)
    throw new NotFound('ResourceGroupNotFound', `Resource group '${group.name}' could not be found.`)
  const deleting: ResourceGroup = { ...stored.value, deleting: operationId }
  const entry = armAudit('Microsoft.Resources/subscriptions/resourceGroups/delete', group.id)
  await audit.append(entry, [put(groups, key, deleting, stored.version)]).catch(changedMeanwhile('The resource group'))
  const what = { subscriptionId: group.subscriptionId, resourceId: group.id, operationId }
  return operations.start(call, what, fence => emptyGroup(options, deleting, fence))
}

/** A deletion that a stop of the service broke off goes on when it starts again. */
export async function resumeGroupDeletions(
  options: ArmOptions,
  open: readonly Stored<Operation>[],
): Promise<Set<string>> {
  const resumed = new Set<string>()
  for await (const { value: group } of everyRecord(options.records, groups, { onTampered: leaveOut })) {
    const operation = open.find(({ value }) => value.operationId === group.deleting)
    if (operation === undefined) continue
    resumed.add(operation.id)
    await options.operations.resume(operation, fence => emptyGroup(options, group, fence))
  }
  return resumed
}

async function emptyGroup(options: ArmOptions, group: ResourceGroup, fence: readonly Change[]): Promise<void> {
  const { records, resourceTypes } = options
  const key = groupKey(group.subscriptionId, group.name)
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const inside = await Promise.all(resourceTypes.map(type => type.list(group.subscriptionId, group.name)))
      if (inside.flat().length === 0) break
      // In the order of the types: accounts end before the vaults that hold their keys.
      for (const [index, type] of resourceTypes.entries()) {
        for (const resource of inside[index] ?? []) await type.delete(resource)
      }
    }
    const assignments = await allRecords(records, roleAssignments, { prefix: `${group.subscriptionId}/` })
    // A later group of the same name must not inherit who had access to this one.
    const own = assignments.filter(({ value }) => scopeKey(value.scope) === scopeKey(group.id))
    await records.commit([...fence, remove(groups, key), ...own.map(({ id }) => remove(roleAssignments, id))])
  } catch (error) {
    const { deleting: _, ...kept } = group
    await records.commit([...fence, put(groups, key, kept)])
    throw error
  }
}

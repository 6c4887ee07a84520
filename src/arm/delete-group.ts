import { NotFound } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { allRecords, everyRecord } from '../store/every-record.ts'
import { leaveOut, put, remove, VersionConflict, type Change, type Stored } from '../store/records.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import type { Operation, OperationWork } from './operations.ts'
import { groupKey, groups, roleAssignments } from './records.ts'
import { scopeKey } from './resource-id.ts'
import type { ResourceGroup } from './resource-manager.ts'

/** How often it looks for resources that came in while the group was emptied. */
const MAX_ROUNDS = 5

/** Begins to delete a group with everything in it, and answers 202. A second request joins the first, and may ask as it does. */
export async function deleteGroup(options: ArmOptions, call: Call, group: ResourceGroup): Promise<Response> {
  const { records, env, audit, operations } = options
  const { subscriptionId, name } = group
  const key = groupKey(subscriptionId, name)
  for (;;) {
    const stored = await records.get(groups, key)
    if (stored === undefined)
      throw new NotFound('ResourceGroupNotFound', `Resource group '${name}' could not be found.`)
    const joined = stored.value.deleting && (await operations.join(call, subscriptionId, stored.value.deleting))
    if (joined) return joined
    const deleting: ResourceGroup = { ...stored.value, deleting: env.uuid() }
    const entry = armAudit('Microsoft.Resources/subscriptions/resourceGroups/delete', group.id)
    const commit = (changes: readonly Change[]): Promise<unknown> =>
      audit.append(entry, [...changes, put(groups, key, deleting, stored.version)])
    const what = { subscriptionId, resourceId: group.id, operationId: deleting.deleting as string, commit }
    try {
      return await operations.start(call, what, workOf(options, deleting))
    } catch (error) {
      // Another request came first. This one joins it, if it deletes the group too.
      if (!(error instanceof VersionConflict) || error.collection !== groups.name) throw error
    }
  }
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
    await options.operations.resume(operation, workOf(options, group))
  }
  return resumed
}

function workOf(options: ArmOptions, group: ResourceGroup): OperationWork {
  const key = groupKey(group.subscriptionId, group.name)
  return {
    run: fence => emptyGroup(options, group, fence),
    // It takes resources again, at the moment in which its deletion is seen to have failed.
    undo: async () => {
      const now = await options.records.get(groups, key)
      if (now === undefined || now.value.deleting !== group.deleting) return []
      const { deleting: _, ...kept } = now.value
      return [put(groups, key, kept, now.version)]
    },
  }
}

async function emptyGroup(options: ArmOptions, group: ResourceGroup, fence: readonly Change[]): Promise<void> {
  const { records, resourceTypes } = options
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const inside = await Promise.all(resourceTypes.map(type => type.list(group.subscriptionId, group.name)))
    if (inside.flat().length === 0) break
    // In the order of the types, so accounts end before the vaults that hold their keys.
    for (const [index, type] of resourceTypes.entries()) {
      for (const resource of inside[index] ?? []) await type.delete(resource, fence)
    }
  }
  const assignments = await allRecords(records, roleAssignments, { prefix: `${group.subscriptionId}/` })
  // A later group of the same name must not inherit who had access to this one.
  const own = assignments.filter(({ value }) => scopeKey(value.scope) === scopeKey(group.id))
  const key = groupKey(group.subscriptionId, group.name)
  await records.commit([...fence, remove(groups, key), ...own.map(({ id }) => remove(roleAssignments, id))])
}

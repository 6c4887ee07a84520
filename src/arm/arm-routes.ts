import type { Route } from '../http/route.ts'
import type { ArmOptions } from './arm-options.ts'
import { resumeGroupDeletions } from './delete-group.ts'
import { groupRoutes } from './group-routes.ts'
import { manageSubscriptionRoutes } from './manage-subscriptions.ts'
import { moveRoutes } from './move-resources.ts'
import { moveSubscriptionRoutes } from './move-subscription.ts'
import { operationRoutes } from './operations.ts'
import { ownOperationsRoutes } from './provider-operations.ts'
import { resourceRoutes } from './resource-routes.ts'
import { roleAssignmentRoutes } from './role-assignment-routes.ts'
import { roleDefinitionRoutes } from './role-definitions.ts'
import { subscriptionRoutes } from './subscription-routes.ts'
import { tagNameRoutes } from './tag-name-routes.ts'
import { tagRoutes } from './tag-routes.ts'
import { tenantRoutes } from './tenant-routes.ts'

/** Routes of Resource Manager itself; providers bring their own. */
export function armRoutes(options: ArmOptions): Route[] {
  return [
    ...subscriptionRoutes(options),
    ...manageSubscriptionRoutes(options),
    ...moveSubscriptionRoutes(options),
    ...tenantRoutes(options),
    ...groupRoutes(options),
    ...resourceRoutes(options),
    ...moveRoutes(options),
    ...tagRoutes(options),
    ...tagNameRoutes(options),
    ...roleAssignmentRoutes(options),
    ...roleDefinitionRoutes(options),
    ...ownOperationsRoutes(),
    ...operationRoutes(options.operations, options.resourceManager),
  ]
}

/** Work that a stop of the service broke off goes on, or is recorded as failed. */
export async function resumeOperations(options: ArmOptions): Promise<void> {
  const open = await options.operations.open()
  const resumed = await resumeGroupDeletions(options, open)
  const lost = open.filter(({ id }) => !resumed.has(id))
  await options.operations.giveUp(lost)
}

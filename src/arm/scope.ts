import { AzureError, NotFound } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { parseResourceId } from './resource-id.ts'
import type { ResourceManager, ResourceType } from './resource-manager.ts'

/** What a scope names, in its original spelling. */
export interface Scope {
  /** `/`, or an id of a subscription, group, resource or child of a resource. */
  readonly id: string
  readonly type: 'root' | 'subscription' | 'group' | 'resource'
  readonly subscriptionId?: string
  readonly group?: string
}

/** The scope in front of `/providers/Microsoft.Authorization/...`, as the path gives it. @throws 400 InvalidScope */
export function scopeOf(call: Call): string {
  const given = call.params['scope'] ?? ''
  const parts = given === '' ? [] : given.split('/')
  const isScope =
    parts.length === 0 ||
    (parts[0]?.toLowerCase() === 'subscriptions' &&
      (parts.length === 2 ||
        (parts[2]?.toLowerCase() === 'resourcegroups' &&
          (parts.length === 4 ||
            (parts[4]?.toLowerCase() === 'providers' && parts.length >= 8 && parts.length % 2 === 0)))))
  if (isScope && given.length <= 1000) return `/${given}`
  throw new AzureError(
    'InvalidScope',
    400,
    `The scope '${given.slice(0, 200)}' is not valid: it must be '/', a subscription, a resource group or a resource.`,
  )
}

/**
 * What the scope names, if it exists.
 * @throws 404 SubscriptionNotFound, ResourceGroupNotFound, ResourceNotFound
 */
export async function findScope(
  {
    resourceManager,
    resourceTypes,
  }: { readonly resourceManager: ResourceManager; readonly resourceTypes: readonly ResourceType[] },
  scope: string,
): Promise<Scope> {
  const [, , givenSubscription, , givenGroup] = scope.split('/')
  if (givenSubscription === undefined) return { id: '/', type: 'root' }
  const { subscriptionId } = await resourceManager.subscription(givenSubscription)
  if (givenGroup === undefined) return { id: `/subscriptions/${subscriptionId}`, type: 'subscription', subscriptionId }
  const { id, name: group } = await resourceManager.group(subscriptionId, givenGroup)
  const parsed = parseResourceId(scope)
  if (parsed === undefined) return { id, type: 'group', subscriptionId, group }
  const type = resourceTypes.find(known => known.type.toLowerCase() === parsed.type.toLowerCase())
  const resources = (await type?.list(subscriptionId, group)) ?? []
  const found = resources.find(({ name }) => name.toLowerCase() === parsed.name.toLowerCase())
  if (found === undefined) {
    throw new NotFound(
      'ResourceNotFound',
      `The Resource '${parsed.type}/${parsed.name}' under resource group '${group}' was not found.`,
    )
  }
  const child = scope.split('/').slice(9)
  return { id: [found.id, ...child].join('/'), type: 'resource', subscriptionId, group }
}

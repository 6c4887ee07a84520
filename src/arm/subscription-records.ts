import type { Subscription } from './resource-manager.ts'

export function showSubscription(subscription: Subscription): object {
  const { subscriptionId, displayName, tenantId, state, tags } = subscription
  return {
    id: `/subscriptions/${subscriptionId}`,
    subscriptionId,
    displayName,
    tenantId,
    state,
    ...(tags === undefined ? {} : { tags }),
    authorizationSource: 'RoleBased',
    managedByTenants: [],
    subscriptionPolicies: {
      locationPlacementId: 'Public_2014-09-01',
      quotaId: 'PayAsYouGo_2014-09-01',
      spendingLimit: 'Off',
    },
  }
}

import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import { everyRecord } from '../store/every-record.ts'
import { leaveOut } from '../store/records.ts'
import { accounts as storedAccounts } from './account.ts'
import type { AccountServices } from './accounts.ts'

/** How many accounts each tenant has, soft-deleted ones too, so that `prove` can say how many it could not look at. */
export function accountCountRoutes(services: AccountServices): Route[] {
  return [
    {
      host: 'management',
      auth: 'administrator',
      method: 'GET',
      path: '/ownkey/accounts/count',
      maxBody: 0,
      handler: async () => {
        noteOperation({ operationName: 'OwnKey/accounts/count' })
        const bySubscription = new Map<string, number>()
        // Soft-deleted ones too. One whose record was changed outside is left out; the check of the records names it.
        for await (const { value } of everyRecord(services.records, storedAccounts, { onTampered: leaveOut }))
          bySubscription.set(value.subscriptionId, (bySubscription.get(value.subscriptionId) ?? 0) + 1)
        const counts = new Map<string, number>()
        for (const [subscriptionId, count] of bySubscription) {
          const { tenantId } = await services.resourceManager.subscription(subscriptionId)
          counts.set(tenantId, (counts.get(tenantId) ?? 0) + count)
        }
        return json({ value: [...counts].map(([tenantId, count]) => ({ tenantId, count })) })
      },
    },
  ]
}

import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import { leaveOut, type RecordStore, type Stored } from '../store/records.ts'
import { accounts as storedAccounts, type Account } from './account.ts'
import type { Accounts } from './accounts.ts'

const PAGE = 1000

/** How many accounts there are for each tenant, soft-deleted ones too: what `prove` could not look at shows up as a number. */
export function accountCountRoutes(accounts: Accounts): Route[] {
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
        for await (const { value } of everyAccount(accounts.options.records))
          bySubscription.set(value.subscriptionId, (bySubscription.get(value.subscriptionId) ?? 0) + 1)
        const counts = new Map<string, number>()
        for (const [subscriptionId, count] of bySubscription) {
          const { tenantId } = await accounts.options.resourceManager.subscription(subscriptionId)
          counts.set(tenantId, (counts.get(tenantId) ?? 0) + count)
        }
        return json({ value: [...counts].map(([tenantId, count]) => ({ tenantId, count })) })
      },
    },
  ]
}

/** Soft-deleted ones too; one whose record was changed outside is left out, and named where records are proven. */
async function* everyAccount(records: RecordStore): AsyncGenerator<Stored<Account>> {
  for (let after: string | undefined; ;) {
    const from = after === undefined ? {} : { after }
    const page = await records.list(storedAccounts, { limit: PAGE, onTampered: leaveOut, ...from })
    yield* page
    if (page.length < PAGE) return
    after = page.at(-1)?.id
  }
}

import { z } from 'zod'
import { noteOperation } from '../audit/request-context.ts'
import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { storedAccount } from './account-routes.ts'
import type { AccountServices } from './accounts.ts'
import { freshStatus } from './fresh-status.ts'
import type { Protection } from './protection.ts'
import { shownAccount } from './show-account.ts'

const ACCOUNT =
  '/subscriptions/:subscriptionid/resourcegroups/:group/providers/microsoft.cognitiveservices/accounts/:account'
const proveBody = z.object({ after: z.uuid().optional(), whole: z.boolean().default(false) })

/** Not in Azure: which key seals which data of an account, and a fresh proof that the data opens under that key. */
export function protectionRoutes(services: AccountServices, protection: Protection): Route[] {
  return [
    {
      host: 'management',
      auth: 'management',
      method: 'GET',
      path: `${ACCOUNT}/protecteddata`,
      maxBody: 0,
      handler: async call => {
        const { value: account } = await storedAccount(services, call, 'read')
        const { blobs, next } = await protection.list(account, afterOf(call))
        return json({ value: blobs, ...(next === undefined ? {} : { nextLink: nextLink(call, next) }) })
      },
    },
    {
      host: 'management',
      auth: 'management',
      method: 'POST',
      path: `${ACCOUNT}/proveprotection`,
      maxBody: 4096,
      handler: async call => {
        // Only callers who may read the data may have it opened, even unseen.
        const stored = await storedAccount(services, call, 'listKeys/action')
        const { after, whole } = await call.json(proveBody)
        const { proofs, next } = await protection.prove(stored.value, {
          whole,
          ...(after === undefined ? {} : { after }),
        })
        noteOperation({ operationName: 'Microsoft.CognitiveServices/accounts/proveProtection/action' })
        await freshStatus(services, stored.value)
        const found = after === undefined ? await protection.contradictions(stored.value) : []
        return json({
          account: await shownAccount(services, stored),
          proofs,
          contradictions: found,
          ...(next === undefined ? {} : { next }),
        })
      },
    },
  ]
}

function afterOf(call: Call): string | undefined {
  const after = call.query.get('$skiptoken')
  if (after === undefined || z.uuid().safeParse(after).success) return after
  throw new AzureError('InvalidSkipToken', 400, 'The $skiptoken is not from this service: begin without it.')
}

function nextLink(call: Call, after: string): string {
  const url = new URL(call.url)
  url.searchParams.set('$skiptoken', after)
  return url.href
}

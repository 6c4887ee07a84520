import { z } from 'zod'
import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import { storedAccount } from './account-routes.ts'
import type { AccountServices } from './accounts.ts'
import { showReEncryption } from './re-encryption.ts'
import type { ReEncryptions } from './re-encryptions.ts'

const ACCOUNT =
  '/subscriptions/:subscriptionid/resourcegroups/:group/providers/microsoft.cognitiveservices/accounts/:account'
const body = z.object({ mebibytesPerSecond: z.number().min(0.1).max(100_000).nullish() }).default({})
const RETRY_AFTER_SECONDS = 1

/** Not in Azure: makes a new data key, seals everything anew under it, and destroys the former data keys. */
export function reEncryptionRoutes(services: AccountServices, reEncryptions: ReEncryptions): Route[] {
  return [
    {
      host: 'management',
      auth: 'management',
      method: 'POST',
      path: `${ACCOUNT}/reencrypt`,
      maxBody: 4096,
      handler: async call => {
        const { value: account } = await storedAccount(services, call, 'write')
        const { mebibytesPerSecond } = await call.json(body)
        noteOperation({ operationName: 'Microsoft.CognitiveServices/accounts/reEncrypt/action' })
        const state = await reEncryptions.start(account, mebibytesPerSecond ?? undefined)
        const version = encodeURIComponent(call.query.get('api-version') ?? '')
        const headers = {
          'azure-asyncoperation': `${call.origin}${account.id}/reEncryption?api-version=${version}`,
          'retry-after': String(RETRY_AFTER_SECONDS),
        }
        return json(showReEncryption(account.id, state), { status: 202, headers })
      },
    },
    {
      host: 'management',
      auth: 'management',
      method: 'GET',
      path: `${ACCOUNT}/reencryption`,
      maxBody: 0,
      handler: async call => {
        const { value: account } = await storedAccount(services, call, 'read')
        const { value } = await reEncryptions.get(account.accountId)
        const headers = value.status === 'InProgress' ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}
        return json(showReEncryption(account.id, value), { headers })
      },
    },
  ]
}

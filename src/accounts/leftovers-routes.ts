import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { RecordStore } from '../store/records.ts'
import { findLeftovers } from './leftovers.ts'

/** For `prove`: leftovers in the folder that belong to nothing, of all tenants. */
export function leftoversRoutes(given: { readonly records: RecordStore; readonly blobs: BlobStore }): Route[] {
  return [
    {
      host: 'management',
      auth: 'administrator',
      method: 'GET',
      path: '/ownkey/leftovers',
      maxBody: 0,
      handler: async () => {
        noteOperation({ operationName: 'OwnKey/leftovers/read' })
        return json(await findLeftovers(given))
      },
    },
  ]
}

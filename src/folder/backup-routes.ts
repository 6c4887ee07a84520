import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { Snapshots } from './snapshots.ts'

const PATH = '/ownkey/backup'

/** A backup of the running cloud, for its administrator. `./ownkey backup` begins it, copies, and ends it. No data goes through here. */
export function backupRoutes(snapshots: Snapshots): Route[] {
  const base = { host: 'management', auth: 'administrator', maxBody: 0 } as const
  return [
    {
      ...base,
      method: 'POST',
      path: PATH,
      handler: async () => {
        noteOperation({ operationName: 'OwnKey/backup/begin' })
        return json(await snapshots.begin())
      },
    },
    {
      ...base,
      method: 'POST',
      path: `${PATH}/:id/renew`,
      handler: call => {
        noteOperation({ operationName: 'OwnKey/backup/renew', unrecorded: true })
        snapshots.renew(call.params['id'] ?? '')
        return json({})
      },
    },
    {
      ...base,
      method: 'DELETE',
      path: `${PATH}/:id`,
      handler: async call => {
        noteOperation({ operationName: 'OwnKey/backup/end' })
        await snapshots.end(call.params['id'] ?? '')
        return json({})
      },
    },
  ]
}

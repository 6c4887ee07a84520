import { NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { TruthBlock } from './truth-table.ts'

/** What each way of losing a key does to each operation, as measured. Everybody who is signed in may read it. */
export function truthTableRoutes(blocks: readonly TruthBlock[] | undefined): Route[] {
  return [
    {
      host: 'management',
      auth: 'management',
      method: 'GET',
      path: '/ownkey/truth-table',
      maxBody: 0,
      handler: () => {
        if (blocks !== undefined) return json({ blocks })
        throw new NotFound(
          'NotFound',
          'This installation came without docs/truth-table.md. Write it with: npm run truth',
        )
      },
    },
  ]
}

import { noteOperation } from '../audit/request-context.ts'
import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { FolderCheck } from './folder-check.ts'

const PATH = '/ownkey/verify'

/** Verification of the whole data folder by pages, for the administrator. About data it says only whether it opens. */
export function verifyRoutes(check: FolderCheck): Route[] {
  const route = (path: string, find: (call: Call) => Promise<object>): Route => ({
    host: 'management',
    auth: 'administrator',
    method: 'GET',
    path: `${PATH}/${path}`,
    maxBody: 0,
    handler: async call => {
      noteOperation({ operationName: 'OwnKey/verify' })
      // Recorded once, not for each page.
      if (path !== 'files') noteOperation({ unrecorded: true })
      return json(await find(call))
    },
  })
  return [
    route('files', () => check.files()),
    route('accounts', call => check.accounts(afterOf(call))),
    route('blobs', call => check.blobs(call.query.get('whole') === 'true', afterOf(call))),
  ]
}

function afterOf(call: Call): string | undefined {
  const after = call.query.get('after')
  if (after === undefined || /^[0-9a-f-]{1,36}(\/[0-9a-f-]{1,36})?$/.test(after)) return after
  throw new AzureError('BadRequest', 400, "'after' must be the 'next' of the page before.", { target: 'after' })
}

import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { SigningKeys } from './signing-keys.ts'

/** Lets the administrator change the token-signing key at once; it changes by itself every 30 days. */
export function rotateRoute(keys: SigningKeys): Route {
  return {
    host: 'management',
    method: 'POST',
    path: '/providers/ownkey.directory/signingkeys/rotate',
    auth: 'administrator',
    maxBody: 4096,
    handler: async () => {
      noteOperation({ operationName: 'OwnKey.Directory/signingKeys/rotate/action' })
      await keys.rotate()
      return json({ kid: keys.active().kid })
    },
  }
}

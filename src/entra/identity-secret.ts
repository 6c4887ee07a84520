import { noteOperation } from '../audit/request-context.ts'
import { NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { RecordStore } from '../store/records.ts'
import type { Identities } from './identities.ts'
import { principals } from './records.ts'

/** Gives the administrator the secret that a program needs to act as a resource: `IDENTITY_HEADER`. Azure does not have this route. */
export function identitySecretRoute(records: RecordStore, identities: Identities): Route {
  return {
    host: 'management',
    method: 'POST',
    path: '/providers/ownkey.directory/identities/:principal/listsecret',
    auth: 'administrator',
    maxBody: 4096,
    handler: call => identitySecret(records, identities, call),
  }
}

async function identitySecret(records: RecordStore, identities: Identities, call: Call): Promise<Response> {
  const asked = (call.params['principal'] ?? '').toLowerCase()
  const found = /^[0-9a-f-]{36}$/.test(asked) ? (await records.get(principals, asked))?.value : undefined
  if (found?.kind !== 'managed-identity' || !found.enabled)
    throw new NotFound(
      'IdentityNotFound',
      `There is no identity of a resource with the principal id '${asked.slice(0, 64)}'.`,
    )
  const { objectId, appId, resourceId } = found
  noteOperation({
    operationName: 'OwnKey.Directory/identities/listSecret/action',
    ...(resourceId === undefined ? {} : { resourceId }),
    properties: { objectId },
  })
  return json({ principalId: objectId, clientId: appId, resourceId, identityHeader: identities.secret(objectId) })
}

import { Forbidden } from '../http/errors.ts'
import type { Authenticator } from '../http/route.ts'

/** Lets only the administrator of this cloud in, whom the first start made: roles give nobody else this. @throws 401, 403 */
export function administratorOnly(authenticator: Authenticator, objectIds: readonly string[]): Authenticator {
  return async call => {
    const caller = await authenticator(call)
    if (caller.type === 'principal' && objectIds.includes(caller.objectId)) return caller
    throw new Forbidden(
      'AdministratorOnly',
      'Only the administrator of this cloud may do this. Their credentials are in endpoints.json in the data folder.',
    )
  }
}

import { Forbidden } from '../http/errors.ts'
import type { Authenticator } from '../http/route.ts'

/** Lets in only the administrator that the first start made. No role gives this to anybody else. @throws 401, 403 */
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

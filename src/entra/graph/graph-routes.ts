import type { Route } from '../../http/route.ts'
import { applicationRoutes } from './applications.ts'
import { federatedCredentialRoutes } from './federated-credentials.ts'
import type { GraphOptions } from './graph-route.ts'
import { servicePrincipalRoutes } from './service-principals.ts'
import { userRoutes } from './users.ts'

/** The part of Microsoft Graph that the directory needs: users, applications and service principals. */
export function graphRoutes(options: GraphOptions): Route[] {
  return [
    ...userRoutes(options),
    ...applicationRoutes(options),
    ...federatedCredentialRoutes(options),
    ...servicePrincipalRoutes(options),
  ]
}

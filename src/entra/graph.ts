import { AzureError, Forbidden, NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { RecordStore } from '../store/records.ts'
import { allPrincipals } from './all-principals.ts'
import { bearerToken } from './authenticate.ts'
import { principals, type Principal } from './records.ts'
import type { PrincipalCaller, Tokens } from './tokens.ts'

const most = 999
const reason = 'asks for a token for Microsoft Graph or Resource Manager by itself'

/** The little of Microsoft Graph that clients of Key Vault ask: who is this application, which principals are there. */
export function graphRoutes(records: RecordStore, tokens: Tokens): Route[] {
  const get = (path: string, answer: (call: Call, caller: PrincipalCaller) => Promise<unknown>): Route => ({
    host: 'login',
    method: 'GET',
    path,
    auth: 'none',
    reason,
    maxBody: 0,
    handler: async call => {
      const token = bearerToken(call)
      if (token === undefined) throw new AzureError('InvalidAuthenticationToken', 401, 'Access token is empty.')
      return json(await answer(call, await tokens.verify(token, { audiences: ['graph', 'management'] })))
    },
  })
  return [
    get('/v1.0/me', async () => {
      throw new Forbidden('BadRequest', '/me request is only valid with delegated authentication flow.')
    }),
    get('/v1.0/serviceprincipals', async (call, { tenantId }) => {
      const matches = filterOf(call.query.get('$filter') ?? '')
      const top = Math.min(Number(call.query.get('$top') ?? most) || most, most)
      const value: object[] = []
      for await (const principal of allPrincipals(records)) {
        if (value.length === top) break
        if (principal.tenantId === tenantId && principal.kind !== 'user' && matches(principal))
          value.push(shown(principal))
      }
      return { value }
    }),
    get('/v1.0/serviceprincipals/:id', async (call, { tenantId }) => {
      const id = call.params['id'] ?? ''
      const found = id.length <= 64 ? (await records.get(principals, id.toLowerCase()))?.value : undefined
      if (found?.tenantId === tenantId) return shown(found)
      throw new NotFound('Request_ResourceNotFound', `Resource '${id.slice(0, 64)}' does not exist.`)
    }),
  ]
}

/** The filters that az, the SDKs and the portal send; quotes inside of a value are doubled (OData 4.01 5.1.1.11.1). */
function filterOf(filter: string): (principal: Principal) => boolean {
  if (filter === '') return () => true
  const match =
    /^(?:(appId|id|displayName) eq |servicePrincipalNames\/any\(\w+:\w+ eq |startswith\(displayName, ?)'((?:[^']|'')*)'\)?$/i.exec(
      filter.slice(0, 1024),
    )
  if (!match) {
    const message = "Unsupported $filter. Supported: appId, id or displayName eq '…', startswith(displayName,'…')."
    throw new AzureError('Request_UnsupportedQuery', 400, message)
  }
  const value = (match[2] ?? '').replaceAll("''", "'").toLowerCase()
  const field = match[1]?.toLowerCase()
  if (field === 'id') return principal => principal.objectId === value
  if (field === 'displayname') return principal => principal.displayName.toLowerCase() === value
  if (filter.toLowerCase().startsWith('startswith')) {
    return principal => principal.displayName.toLowerCase().startsWith(value)
  }
  return principal => principal.appId === value
}

function shown(principal: Principal): object {
  const { objectId, appId, displayName, enabled, kind, resourceId, tenantId, createdAt } = principal
  return {
    id: objectId,
    appId,
    displayName,
    accountEnabled: enabled,
    appOwnerOrganizationId: tenantId,
    createdDateTime: new Date(createdAt).toISOString(),
    servicePrincipalNames: [appId],
    servicePrincipalType: kind === 'application' ? 'Application' : 'ManagedIdentity',
    alternativeNames: resourceId === undefined ? [] : ['isExplicit=False', resourceId],
  }
}

import { commitRecorded, noteOperation, requestContext } from '../../audit/request-context.ts'
import type { Env } from '../../base/env.ts'
import { AzureError, Forbidden, NotFound } from '../../http/errors.ts'
import { json } from '../../http/respond.ts'
import type { Call, Route } from '../../http/route.ts'
import { changedMeanwhile } from '../../store/conflicts.ts'
import type { Change, RecordStore } from '../../store/records.ts'
import { bearerToken } from '../authenticate.ts'
import { administrators, administratorUsers, principals } from '../records.ts'
import type { PrincipalCaller, Tokens } from '../tokens.ts'
import type { Users } from '../users.ts'
import { parseFilter, parseSearch } from './odata-filter.ts'

export interface GraphOptions {
  readonly records: RecordStore
  readonly env: Env
  readonly tokens: Pick<Tokens, 'verify'>
  readonly users: Users
  /** For example `localhost`. */
  readonly domain: string
}

export type GraphHandler = (call: Call, caller: PrincipalCaller) => Promise<Response>

const reason = 'asks for a token for Microsoft Graph or Resource Manager by itself'
const largestBody = 64 * 1024
const largestPage = 999
const usualPage = 100
/** Ids of this directory, in lower case. */
export const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A route of Microsoft Graph: reading is for everybody of the tenant, changing for its administrators, unless `changes` is `self`. */
export function graphRoute(
  options: GraphOptions,
  method: Route['method'],
  path: string,
  handler: GraphHandler,
  changes: 'administrator' | 'self' | 'nothing' = method === 'GET' ? 'nothing' : 'administrator',
): Route {
  return {
    host: 'login',
    method,
    path: `/v1.0${path}`,
    auth: 'none',
    reason,
    maxBody: method === 'GET' || method === 'DELETE' ? 0 : largestBody,
    handler: async call => {
      const token = bearerToken(call)
      if (token === undefined) throw new AzureError('InvalidAuthenticationToken', 401, 'Access token is empty.')
      const caller = await options.tokens.verify(token, { audiences: ['graph', 'management'] })
      const { objectId, tenantId, appId } = caller
      noteOperation({ properties: { initiatedBy: { objectId, tenantId, appId } } })
      if (changes === 'administrator') await requireAdministrator(options.records, caller)
      return handler(call, caller)
    },
  }
}

/** The administrators that a tenant began with, and principals that were made one. */
async function requireAdministrator(records: RecordStore, { objectId }: PrincipalCaller): Promise<void> {
  const principal = await records.get(principals, objectId)
  if (principal?.value.directoryAdministrator) return
  // Folders of the first version have the administrators, but not the mark.
  const [application, user] = await Promise.all([
    records.get(administrators, 'administrator'),
    records.get(administratorUsers, 'administrator'),
  ])
  if (objectId === application?.value.objectId || objectId === user?.value.objectId) return
  throw new Forbidden(
    'Authorization_RequestDenied',
    'Insufficient privileges to complete the operation: an administrator of the tenant may do this.',
  )
}

/** Commits with a record in the words of Entra's audit log. Where somebody else changed the object, nothing is written. @throws 409 */
export async function commitAs(
  records: RecordStore,
  operation: {
    readonly name: string
    readonly resource: string
    readonly properties?: Readonly<Record<string, unknown>>
    /** The status; absent: 201 for POST, 204 for PATCH and DELETE. */
    readonly status?: number
    /** It takes somebody's access away, so a full disk must not stop it. */
    readonly endsAccess?: true
  },
  changes: readonly Change[],
): Promise<void> {
  const { name, resource, properties, endsAccess } = operation
  if (endsAccess) noteOperation({ endsAccess })
  const status = operation.status ?? (requestContext.getStore()?.call.method === 'POST' ? 201 : 204)
  noteOperation({ operationName: name, resourceId: resource, ...(properties === undefined ? {} : { properties }) })
  await commitRecorded(records, changes, { status }).catch(changedMeanwhile('The object', 'Request_Conflict'))
}

/** A page of what matches `$filter` and `$search`, with `$top`, `$select`, `$count` and the link to the next one. */
export async function listPage(
  call: Call,
  name: string,
  objects: (after: string | undefined) => AsyncIterable<{ readonly id: string; readonly shown: object }>,
): Promise<Response> {
  const { query } = call
  const matches = [parseFilter(query.get('$filter') ?? ''), parseSearch(unquoted(query.get('$search') ?? ''))]
  const select = selection(call)
  const top = pageSize(query.get('$top'))
  const value: object[] = []
  let last: string | undefined
  let more = false
  for await (const { id, shown } of objects(skipToken(query.get('$skiptoken')))) {
    if (!matches.every(match => match(shown))) continue
    if (value.length === top) {
      more = true
      break
    }
    value.push(select(shown))
    last = id
  }
  const next = new URL(call.url)
  if (last !== undefined) next.searchParams.set('$skiptoken', last)
  return json({
    '@odata.context': `${call.origin}/v1.0/$metadata#${name}`,
    ...(more ? { '@odata.nextLink': next.href } : {}),
    value,
  })
}

function skipToken(token: string | undefined): string | undefined {
  if (token === undefined || GUID.test(token)) return token
  throw new AzureError('Request_BadRequest', 400, 'The value of $skiptoken is not from a next link of this service.')
}

/** `$search` comes in OData's form, or without the quotes that a shell removed. */
function unquoted(search: string): string {
  return /^\w+:[^"]*$/.test(search) ? `"${search}"` : search
}

function pageSize(top: string | undefined): number {
  if (top === undefined) return usualPage
  const size = Number(top)
  if (Number.isSafeInteger(size) && size > 0 && size <= largestPage) return size
  throw new AzureError(
    'Request_BadRequest',
    400,
    `Invalid page size specified: '${top.slice(0, 20)}'. Must be between 1 and ${largestPage} inclusive.`,
  )
}

/** One object, with the properties that `$select` names. */
export function single(call: Call, name: string, shown: object, status = 200): Response {
  const context = `${call.origin}/v1.0/$metadata#${name}/$entity`
  return json({ '@odata.context': context, ...selection(call)(shown) }, { status })
}

function selection(call: Call): (shown: object) => object {
  const asked = call.query.get('$select')
  if (asked === undefined || asked.trim() === '') return shown => shown
  const names = new Set(asked.split(',').map(name => name.trim().toLowerCase()))
  return shown => Object.fromEntries(Object.entries(shown).filter(([name]) => names.has(name.toLowerCase())))
}

export function notFound(id: string): NotFound {
  const message = `Resource '${id.slice(0, 128)}' does not exist or one of its queried reference-property objects are not present.`
  return new NotFound('Request_ResourceNotFound', message)
}

export function badRequest(message: string, target?: string): AzureError {
  return new AzureError('Request_BadRequest', 400, message, target === undefined ? {} : { target })
}

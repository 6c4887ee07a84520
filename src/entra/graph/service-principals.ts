import { z } from 'zod'
import { AzureError, Conflict } from '../../http/errors.ts'
import { empty, json } from '../../http/respond.ts'
import type { Call, Route } from '../../http/route.ts'
import { put, remove, type Stored } from '../../store/records.ts'
import { allPrincipals } from '../all-principals.ts'
import { applications, principals, principalsByApp, tenants, type Application, type Principal } from '../records.ts'
import { domainOf } from '../tenants.ts'
import type { PrincipalCaller } from '../tokens.ts'
import { addPassword, applicationOf, removePassword } from './applications.ts'
import { shownCredentials } from './application-shape.ts'
import { badRequest, commitAs, GUID, graphRoute, listPage, notFound, single, type GraphOptions } from './graph-route.ts'
import { shownUser } from './users.ts'

const newPrincipal = z.object({ appId: z.guid(), accountEnabled: z.boolean().default(true) })
const changedPrincipal = z.object({ accountEnabled: z.boolean().optional() })
const ids = z.object({
  ids: z.array(z.string().max(64)).max(1000),
  types: z.array(z.string().max(64)).max(20).nullish(),
})

/** `/servicePrincipals`, as which applications and resources act. Also `/directoryObjects` and `/organization`, which az needs for names. */
export function servicePrincipalRoutes(options: GraphOptions): Route[] {
  const credentialOf = async (call: Call, caller: PrincipalCaller): Promise<Stored<Application>> => {
    const { value } = await principalOf(options, call, caller)
    const found = await options.records.get(applications, value.appId)
    if (found === undefined) throw badRequest('The identity of a resource has no secrets of its own.')
    return found
  }
  const path = '/serviceprincipals'
  return [
    graphRoute(options, 'GET', path, (call, caller) =>
      listPage(call, 'servicePrincipals', after => principalsOf(options, caller, after)),
    ),
    graphRoute(options, 'POST', path, (call, caller) => createPrincipal(options, call, caller)),
    graphRoute(options, 'GET', `${path}/:id`, async (call, caller) =>
      single(call, 'servicePrincipals', await shownWhole(options, (await principalOf(options, call, caller)).value)),
    ),
    graphRoute(options, 'PATCH', `${path}/:id`, (call, caller) => updatePrincipal(options, call, caller)),
    graphRoute(options, 'DELETE', `${path}/:id`, (call, caller) => deletePrincipal(options, call, caller)),
    graphRoute(options, 'POST', `${path}/:id/addpassword`, async (call, caller) =>
      addPassword(options, call, await credentialOf(call, caller)),
    ),
    graphRoute(options, 'POST', `${path}/:id/removepassword`, async (call, caller) =>
      removePassword(options, call, await credentialOf(call, caller)),
    ),
    graphRoute(options, 'GET', '/directoryobjects/:id', (call, caller) => oneObject(options, call, caller)),
    graphRoute(
      options,
      'POST',
      '/directoryobjects/getbyids',
      (call, caller) => objectsByIds(options, call, caller),
      'nothing',
    ),
    graphRoute(options, 'GET', '/organization', (_, caller) => organization(options, caller)),
    ...emptyListRoutes(options),
  ]
}

/** Groups and owners. This directory does not have any, but az asks for them. */
function emptyListRoutes(options: GraphOptions): Route[] {
  const none = async (): Promise<Response> => json({ value: [] })
  const owners = (kind: string, find: (call: Call, caller: PrincipalCaller) => Promise<unknown>): Route =>
    graphRoute(options, 'GET', `/${kind}/:id/owners`, async (call, caller) => {
      await find(call, caller)
      return none()
    })
  return [
    graphRoute(options, 'GET', '/groups', none),
    owners('serviceprincipals', (call, caller) => principalOf(options, call, caller)),
    owners('applications', (call, caller) => applicationOf(options, call, caller)),
  ]
}

async function* principalsOf(options: GraphOptions, { tenantId }: PrincipalCaller, after?: string) {
  for await (const principal of allPrincipals(options.records, after)) {
    if (principal.tenantId === tenantId && principal.kind !== 'user')
      yield { id: principal.objectId, shown: await shownWhole(options, principal) }
  }
}

/** By object id, or by application id as `appId=…`; of the caller's tenant. */
async function principalOf(
  { records }: GraphOptions,
  call: Call,
  { tenantId }: PrincipalCaller,
): Promise<Stored<Principal>> {
  const id = (call.params['id'] ?? '').toLowerCase()
  const found = GUID.test(id) ? await records.get(principals, id) : undefined
  if (found?.value.tenantId === tenantId && found.value.kind !== 'user') return found
  throw notFound(id)
}

async function createPrincipal(options: GraphOptions, call: Call, { tenantId }: PrincipalCaller): Promise<Response> {
  const { records, env } = options
  const body = await call.json(newPrincipal)
  const appId = body.appId.toLowerCase()
  const application = (await records.get(applications, appId))?.value
  if (application?.tenantId !== tenantId)
    throw badRequest(
      `The appId '${appId}' of the service principal does not reference a valid application object.`,
      'appId',
    )
  if (await records.get(principalsByApp, appId))
    throw new Conflict(
      'Request_MultipleObjectsWithSameKeyValue',
      `The service principal cannot be created because the service principal name ${appId} is already in use.`,
    )
  const principal: Principal = {
    objectId: env.uuid(),
    tenantId,
    appId,
    kind: 'application',
    displayName: application.displayName,
    enabled: body.accountEnabled,
    createdAt: env.now(),
  }
  const { objectId } = principal
  await commitAs(records, { name: 'Add service principal', resource: resourceOf(principal), properties: { appId } }, [
    put(principals, objectId, principal, 0),
    put(principalsByApp, appId, { objectId }, 0),
  ])
  return single(call, 'servicePrincipals', await shownWhole(options, principal), 201)
}

async function updatePrincipal(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const body = await call.json(changedPrincipal)
  const found = await principalOf(options, call, caller)
  const { enabled, objectId } = found.value
  const next = body.accountEnabled ?? enabled
  if (!next && objectId === caller.objectId) throw badRequest('An application does not disable itself.')
  const operation = {
    name: 'Update service principal',
    resource: resourceOf(found.value),
    properties: { accountEnabled: next },
    ...(next ? {} : { endsAccess: true as const }),
  }
  await commitAs(options.records, operation, [
    put(principals, objectId, { ...found.value, enabled: next }, found.version),
  ])
  return empty(204)
}

async function deletePrincipal(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const { value, version } = await principalOf(options, call, caller)
  // R31: an identity is made and deleted with its resource.
  if (value.kind === 'managed-identity')
    throw new AzureError(
      'Request_BadRequest',
      400,
      "The identity of a resource can't be deleted here: turn it off on the resource.",
    )
  if (value.objectId === caller.objectId) throw badRequest('An application does not delete itself.')
  await commitAs(options.records, { name: 'Remove service principal', resource: resourceOf(value) }, [
    remove(principals, value.objectId, version),
    remove(principalsByApp, value.appId),
  ])
  return empty(204)
}

type Shown = { readonly '@odata.type': string } & Readonly<Record<string, unknown>>

async function directoryObject(
  { records, users }: GraphOptions,
  id: string,
  tenantId: string,
): Promise<Shown | undefined> {
  const found = GUID.test(id.toLowerCase()) ? (await records.get(principals, id.toLowerCase()))?.value : undefined
  if (found?.tenantId !== tenantId) return undefined
  if (found.kind !== 'user')
    return { '@odata.type': '#microsoft.graph.servicePrincipal', ...(await shownWhole({ records }, found)) }
  const account = await users.byId(found.objectId)
  return account && { '@odata.type': '#microsoft.graph.user', ...shownUser(account) }
}

async function oneObject(options: GraphOptions, call: Call, { tenantId }: PrincipalCaller): Promise<Response> {
  const id = call.params['id'] ?? ''
  const found = await directoryObject(options, id, tenantId)
  if (found === undefined) throw notFound(id)
  return json(found)
}

/** Those that exist. az uses it to show names in role assignments. */
async function objectsByIds(options: GraphOptions, call: Call, { tenantId }: PrincipalCaller): Promise<Response> {
  const body = await call.json(ids)
  const types = new Set((body.types ?? ['directoryObject']).map(type => `#microsoft.graph.${type}`.toLowerCase()))
  const isAny = types.has('#microsoft.graph.directoryobject')
  const value: object[] = []
  for (const id of new Set(body.ids)) {
    const found = await directoryObject(options, id, tenantId)
    if (found !== undefined && (isAny || types.has(found['@odata.type'].toLowerCase()))) value.push(found)
  }
  return json({ value })
}

async function organization({ records, domain }: GraphOptions, { tenantId }: PrincipalCaller): Promise<Response> {
  const tenant = await records.get(tenants, tenantId)
  if (tenant === undefined) throw notFound(tenantId)
  const name = domainOf(tenant.value, domain)
  const verifiedDomains = [{ name, isDefault: true, isInitial: true, type: 'Managed', capabilities: '' }]
  const createdDateTime = new Date(tenant.value.createdAt).toISOString()
  return json({ value: [{ id: tenantId, displayName: tenant.value.displayName, createdDateTime, verifiedDomains }] })
}

const resourceOf = ({ tenantId, objectId }: Principal): string => `/tenants/${tenantId}/servicePrincipals/${objectId}`

/** With the secrets and certificates of its application, since az resets them by this list. */
async function shownWhole({ records }: Pick<GraphOptions, 'records'>, principal: Principal): Promise<object> {
  const application = principal.kind === 'application' ? await records.get(applications, principal.appId) : undefined
  return { ...shownPrincipal(principal), ...shownCredentials(application?.value) }
}

function shownPrincipal(principal: Principal): object {
  const { objectId, appId, displayName, enabled, kind, resourceId, tenantId, createdAt } = principal
  return {
    id: objectId,
    appId,
    displayName,
    appDisplayName: displayName,
    accountEnabled: enabled,
    appOwnerOrganizationId: tenantId,
    createdDateTime: new Date(createdAt).toISOString(),
    servicePrincipalNames: [appId],
    servicePrincipalType: kind === 'application' ? 'Application' : 'ManagedIdentity',
    alternativeNames: resourceId === undefined ? [] : ['isExplicit=False', resourceId],
    tags: [],
  }
}

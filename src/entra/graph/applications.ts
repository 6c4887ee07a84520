import { AzureError, Conflict } from '../../http/errors.ts'
import { empty, json } from '../../http/respond.ts'
import type { Call, Route } from '../../http/route.ts'
import { put, remove, type Change, type Stored } from '../../store/records.ts'
import { newSecret } from '../applications.ts'
import {
  applications,
  applicationsByObject,
  applicationsByUri,
  principals,
  principalsByApp,
  type Application,
  type ClientKind,
  type RedirectUris,
} from '../records.ts'
import { checkRedirectUris } from '../redirect-uris.ts'
import { uriKey } from '../resources.ts'
import { newSecretText } from '../secret-hash.ts'
import type { PrincipalCaller } from '../tokens.ts'
import {
  applicationBody,
  passwordBody,
  shownApplication,
  shownSecret,
  type ApplicationBody,
} from './application-shape.ts'
import { certificatesFrom } from './certificates.ts'
import { badRequest, commitAs, GUID, graphRoute, listPage, notFound, single, type GraphOptions } from './graph-route.ts'
import { z } from 'zod'
import { everyRecord } from '../../store/every-record.ts'

const mostApplications = 50_000
const mostSecrets = 20
const secretLifeMs = 2 * 365 * 86_400_000
const kinds: readonly ClientKind[] = ['web', 'spa', 'publicClient']

/** `/applications` and their secrets. */
export function applicationRoutes(options: GraphOptions): Route[] {
  return [
    graphRoute(options, 'GET', '/applications', (call, caller) =>
      listPage(call, 'applications', after => applicationsOf(options, caller, after)),
    ),
    graphRoute(options, 'POST', '/applications', (call, caller) => createApplication(options, call, caller)),
    graphRoute(options, 'GET', '/applications/:id', async (call, caller) =>
      single(call, 'applications', shownApplication((await applicationOf(options, call, caller)).value)),
    ),
    graphRoute(options, 'PATCH', '/applications/:id', (call, caller) => updateApplication(options, call, caller)),
    graphRoute(options, 'DELETE', '/applications/:id', (call, caller) => deleteApplication(options, call, caller)),
    graphRoute(options, 'POST', '/applications/:id/addpassword', async (call, caller) =>
      addPassword(options, call, await applicationOf(options, call, caller)),
    ),
    graphRoute(options, 'POST', '/applications/:id/removepassword', async (call, caller) =>
      removePassword(options, call, await applicationOf(options, call, caller)),
    ),
  ]
}

async function* applicationsOf({ records }: GraphOptions, { tenantId }: PrincipalCaller, after?: string) {
  for await (const { id, value } of everyRecord(records, applications, after === undefined ? {} : { after }))
    if (value.tenantId === tenantId) yield { id, shown: shownApplication(value) }
}

/** By the application's object id, of the caller's tenant. */
export async function applicationOf(
  { records }: GraphOptions,
  call: Call,
  { tenantId }: PrincipalCaller,
): Promise<Stored<Application>> {
  const id = (call.params['id'] ?? '').toLowerCase()
  if (!GUID.test(id)) throw notFound(id)
  const known = await records.get(applicationsByObject, id)
  const found = await records.get(applications, known?.value.appId ?? id)
  const isNamed = found !== undefined && (known !== undefined || found.value.objectId === undefined)
  if (isNamed && found.value.tenantId === tenantId) return found
  throw notFound(id)
}

async function createApplication(options: GraphOptions, call: Call, { tenantId }: PrincipalCaller): Promise<Response> {
  const { records, env } = options
  const body = await call.json(applicationBody)
  if (body.displayName === undefined) throw badRequest('A value is required for property displayName.', 'displayName')
  if ((await records.count(applications)) >= mostApplications)
    throw new AzureError(
      'Directory_QuotaExceeded',
      400,
      `The directory has ${mostApplications} applications, which is its most.`,
    )
  const [appId, objectId] = [env.uuid(), env.uuid()]
  const bare: Application = {
    appId,
    objectId,
    tenantId,
    displayName: body.displayName,
    createdAt: env.now(),
    secrets: [],
  }
  const application = changed(options, bare, body)
  await checkUris(options, application)
  await commitAs(
    records,
    { name: 'Add application', resource: resourceOf(application), properties: { displayName: body.displayName } },
    [
      put(applications, appId, application, 0),
      put(applicationsByObject, objectId, { appId }, 0),
      ...uriChanges(bare, application),
    ],
  )
  return single(call, 'applications', shownApplication(application), 201)
}

async function updateApplication(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const body = await call.json(applicationBody)
  const found = await applicationOf(options, call, caller)
  const application = changed(options, found.value, body)
  await checkUris(options, application)
  const operation = {
    name: 'Update application',
    resource: resourceOf(application),
    properties: { changed: Object.keys(body) },
  }
  await commitAs(options.records, operation, [
    put(applications, found.id, application, found.version),
    ...uriChanges(found.value, application),
  ])
  return empty(204)
}

/** The application with the changes of the body. */
function changed({ env }: GraphOptions, old: Application, body: ApplicationBody): Application {
  const redirectUris = changedRedirects(old.redirectUris, body)
  const version = body.api?.requestedAccessTokenVersion
  const next = {
    ...old,
    ...(body.displayName === undefined ? {} : { displayName: body.displayName }),
    ...(body.identifierUris === undefined ? {} : { identifierUris: [...new Set(body.identifierUris)] }),
    ...(body.isFallbackPublicClient === undefined
      ? {}
      : { isFallbackPublicClient: body.isFallbackPublicClient ?? false }),
    ...(version === undefined ? {} : { requestedAccessTokenVersion: version ?? 1 }),
    ...(redirectUris === undefined ? {} : { redirectUris }),
    ...(body.keyCredentials === undefined
      ? {}
      : { certificates: certificatesFrom(env, body.keyCredentials, old.certificates ?? []) }),
  }
  return next
}

function changedRedirects(
  old: RedirectUris = { web: [], spa: [], publicClient: [] },
  body: ApplicationBody,
): RedirectUris | undefined {
  if (kinds.every(kind => body[kind]?.redirectUris === undefined)) return undefined
  const next = { ...old }
  for (const kind of kinds) {
    const wanted = body[kind]?.redirectUris
    if (wanted === undefined) continue
    checkRedirectUris(kind, wanted)
    next[kind] = [...new Set(wanted)]
  }
  return next
}

/** Names under which tokens are asked for. They must not be names of our services. */
async function checkUris(
  { records }: GraphOptions,
  { appId, tenantId, identifierUris = [] }: Application,
): Promise<void> {
  for (const uri of identifierUris) {
    // Names of services, ours and Azure's, begin with https, so nobody can take them.
    if (!/^api:\/\/[\w.-]+(?:\/[\w./-]*)?$/.test(uri))
      throw badRequest(
        `Values of identifierUris property must begin with 'api://', for example 'api://${appId}'.`,
        'identifierUris',
      )
    if (/^api:\/\/azureadtokenexchange/i.test(uri))
      throw badRequest(`The identifier URI '${uri}' is reserved.`, 'identifierUris')
    const taken = await records.get(applicationsByUri, uriKey(tenantId, uri))
    if (taken !== undefined && taken.value.appId !== appId)
      throw new Conflict(
        'Request_MultipleObjectsWithSameKeyValue',
        `Another object with the same value for property identifierUris already exists: '${uri}'.`,
      )
  }
}

function uriChanges(old: Application, next: Application): Change[] {
  const { tenantId, appId } = next
  const keys = (application: Application) =>
    new Set((application.identifierUris ?? []).map(uri => uriKey(tenantId, uri)))
  const [before, after] = [keys(old), keys(next)]
  return [
    ...[...before].filter(key => !after.has(key)).map(key => remove(applicationsByUri, key)),
    ...[...after].filter(key => !before.has(key)).map(key => put(applicationsByUri, key, { appId }, 0)),
  ]
}

/** The application and its service principal. */
async function deleteApplication(options: GraphOptions, call: Call, caller: PrincipalCaller): Promise<Response> {
  const { records } = options
  const found = await applicationOf(options, call, caller)
  const { appId, objectId } = found.value
  if (appId === caller.appId && caller.claims['idtyp'] === 'app')
    throw badRequest('An application does not delete itself.')
  const principal = await records.get(principalsByApp, appId)
  await commitAs(
    records,
    {
      name: 'Delete application',
      resource: resourceOf(found.value),
      properties: { displayName: found.value.displayName },
    },
    [
      remove(applications, found.id, found.version),
      ...(objectId === undefined ? [] : [remove(applicationsByObject, objectId)]),
      ...uriChanges(found.value, { ...found.value, identifierUris: [] }),
      ...(principal === undefined
        ? []
        : [remove(principalsByApp, appId), remove(principals, principal.value.objectId)]),
    ],
  )
  return empty(204)
}

/** A new secret, which is shown in this response only. */
export async function addPassword(
  { records, env }: GraphOptions,
  call: Call,
  found: Stored<Application>,
): Promise<Response> {
  const { passwordCredential } = await call.json(passwordBody)
  const { secrets } = found.value
  if (secrets.length >= mostSecrets)
    throw badRequest(`An application has at most ${mostSecrets} secrets: remove one first.`)
  const asked = passwordCredential?.endDateTime
  const expiresAt = asked === undefined ? env.now() + secretLifeMs : Date.parse(asked)
  if (expiresAt <= env.now())
    throw badRequest('The secret would have expired already.', 'passwordCredential.endDateTime')
  const text = newSecretText(env, 32)
  const secret = await newSecret(env, text, expiresAt, passwordCredential?.displayName ?? undefined)
  const operation = {
    name: 'Update application – Certificates and secrets management',
    resource: resourceOf(found.value),
    properties: { added: secret.keyId },
    status: 200,
  }
  await commitAs(records, operation, [
    put(applications, found.id, { ...found.value, secrets: [...secrets, secret] }, found.version),
  ])
  return json(shownSecret(secret, text))
}

export async function removePassword(
  { records }: GraphOptions,
  call: Call,
  found: Stored<Application>,
): Promise<Response> {
  const { keyId } = await call.json(z.object({ keyId: z.guid() }))
  const { secrets } = found.value
  const kept = secrets.filter(secret => secret.keyId !== keyId.toLowerCase())
  if (kept.length === secrets.length) throw badRequest(`No password credential found with keyId '${keyId}'.`, 'keyId')
  const operation = {
    name: 'Update application – Certificates and secrets management',
    resource: resourceOf(found.value),
    properties: { removed: keyId },
    status: 204,
    endsAccess: true as const,
  }
  await commitAs(records, operation, [put(applications, found.id, { ...found.value, secrets: kept }, found.version)])
  return empty(204)
}

export const resourceOf = ({ tenantId, appId }: Application): string => `/tenants/${tenantId}/applications/${appId}`

import { noteOperation } from '../audit/request-context.ts'
import { requestUri } from '../audit/request-uri.ts'
import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import type { Edge, RequestLine } from '../http/handle-request.ts'
import { listenPlain } from '../http/listen.ts'
import { bytes, json } from '../http/respond.ts'
import type { Authenticator, Call, Route } from '../http/route.ts'
import { routeTable } from '../http/route-table.ts'
import { audienceOf } from './audiences.ts'
import type { Identities } from './identities.ts'
import type { Principal } from './records.ts'
import { tokenSeconds } from './tokens.ts'
import { trimEnd } from '../base/trim.ts'

export interface MetadataOptions {
  /** 0: any free port. */
  readonly port: number
  readonly env: Env
  readonly identities: Identities
  readonly domain: string
  /** The local CA's current certificate, for clients that can't trust HTTPS yet. */
  readonly caPem: () => string
  /** Makes a record of each request for a token. */
  readonly audited?: (routes: readonly Route[]) => Route[]
  readonly log?: (line: RequestLine) => void
  /** Called with what an operator should see, in one line. */
  readonly notice?: (message: string) => void
}

export interface MetadataListener {
  readonly port: number
  /** IDENTITY_ENDPOINT of App Service; IDENTITY_HEADER is `identities.secret(principalId)`. */
  readonly identityEndpoint: string
  close(): Promise<void>
}

/** Instance metadata over plain HTTP on 127.0.0.1: tokens of managed identities, and the local CA. */
export async function listenMetadata(options: MetadataOptions): Promise<MetadataListener> {
  const { env, log } = options
  const nobody: Authenticator = async () => {
    throw new AzureError('invalid_request', 401, 'Nobody can log in here.')
  }
  const edge: Edge = {
    table: routeTable(metadataRoutes(options)),
    authenticators: { management: nobody, vault: nobody, openai: nobody, administrator: nobody },
    env,
    scheme: 'http',
    resolveHost: () => ({ host: 'metadata', label: '' }),
    unknownHost: () => '',
    trustedOrigins: () => new Set(),
    ...(log ? { log: line => log({ ...line, path: withoutSecret(line.path) }) } : {}),
  }
  const listener = await listenPlain(options.port, edge, options.notice)
  const identityEndpoint = `http://127.0.0.1:${listener.port}/msi/token`
  return { port: listener.port, identityEndpoint, close: async () => listener.close() }
}

type RouteOptions = Pick<MetadataOptions, 'env' | 'identities' | 'domain' | 'caPem' | 'audited'>

export function metadataRoutes(options: RouteOptions): Route[] {
  const get = (path: string, reason: string, handler: Route['handler']): Route => ({
    host: 'metadata',
    method: 'GET',
    path,
    auth: 'none',
    reason,
    maxBody: 0,
    handler,
  })
  const { audited = routes => [...routes] } = options
  const secretReason = 'asks for the secret of an identity by itself'
  return [
    get('/ca.pem', 'a public certificate', () => bytes(Buffer.from(options.caPem()), 'application/x-pem-file')),
    ...audited([
      get('/msi/token', secretReason, async call => identityToken(options, call)),
      get('/metadata/identity/oauth2/token', secretReason, async call => instanceToken(options, call)),
      // Clients of this form send no secret, but go where AZURE_POD_IDENTITY_AUTHORITY_HOST says: http://127.0.0.1:<port>/<secret>.
      get('/:secret/metadata/identity/oauth2/token', secretReason, async call => instanceToken(options, call)),
    ]),
  ]
}

async function instanceToken(options: RouteOptions, call: Call): Promise<Response> {
  const { secret } = call.params
  if (secret !== undefined) noteOperation({ properties: { requestUri: requestUri(withoutSecret(call.url.href)) } })
  if (call.headers.get('metadata')?.toLowerCase() !== 'true') {
    throw invalid('Required metadata header not specified: send Metadata: true.')
  }
  return identityToken(options, call)
}

/** The path for the log, without a secret in it. It goes part by part, since a pattern with lookahead takes quadratic time. */
function withoutSecret(text: string): string {
  const parts = text.split('/')
  const names = parts.map(part => part.toLowerCase())
  for (let at = names.indexOf('metadata'); at >= 0; at = names.indexOf('metadata', at + 1)) {
    let next = at + 1
    while (names[next] === '') next += 1
    let secret = at - 1
    while (parts[secret] === '') secret -= 1
    if (names[next]?.startsWith('identity') && secret >= 0) parts[secret] = '***'
  }
  return parts.join('/')
}

async function identityToken(options: RouteOptions, call: Call): Promise<Response> {
  const { identities, domain, env } = options
  noteOperation({ operationName: 'ManagedIdentitySignIn' })
  // As Azure: a page or a server may have been tricked into sending a request that came through a proxy.
  if (call.headers.has('x-forwarded-for')) throw invalid('Requests that were forwarded by a proxy are refused.')
  checkApiVersion(call)
  const resource = call.query.get('resource')
  if (!resource) throw invalid("The query parameter 'resource' is missing.")
  if (audienceOf(resource, domain) === undefined) {
    throw new AzureError('invalid_resource', 400, `No service is called ${resource.slice(0, 200)}.`)
  }
  // Any process on this machine can reach this address, so only the secret makes an identity available.
  const secret = call.params['secret'] ?? call.headers.get('x-identity-header') ?? call.headers.get('secret') ?? ''
  const principal = await identities.bySecret(secret)
  if (!principal) throw invalid('Identity not found: send its secret as X-IDENTITY-HEADER.', 401)
  const { resourceId, appId, objectId } = principal
  noteOperation({
    ...(resourceId === undefined ? {} : { resourceId }),
    properties: { clientId: appId, objectId, resource: resource.slice(0, 256) },
  })
  checkWanted(call, principal)
  const { token, expiresAt } = await identities.token(principal.objectId, trimEnd(resource, '/'))
  const expires = Math.floor(expiresAt / 1000)
  return json({
    access_token: token,
    client_id: principal.appId,
    expires_in: String(expires - Math.floor(env.now() / 1000)),
    expires_on: String(expires),
    not_before: String(expires - tokenSeconds),
    resource,
    token_type: 'Bearer',
  })
}

/** The first App Service form sends 2017-09-01, clients of virtual machines send 2018-02-01. */
function checkApiVersion(call: Call): void {
  const version = call.query.get('api-version') ?? ''
  if (/^20\d\d-\d\d-\d\d$/.test(version) && version >= '2017-09-01') return
  if (version === '') throw invalid("The query parameter 'api-version' is missing, for example 2018-02-01.")
  throw invalid(`The api-version '${version.slice(0, 32)}' is not supported. Use for example 2018-02-01.`)
}

/** A caller that names an identity gets that one or none. */
function checkWanted(call: Call, principal: Principal): void {
  const wanted: [string, string | undefined][] = [
    ['client_id', principal.appId],
    ['object_id', principal.objectId],
    ['principal_id', principal.objectId],
    ['msi_res_id', principal.resourceId],
    ['mi_res_id', principal.resourceId],
  ]
  for (const [name, value] of wanted) {
    const asked = call.query.get(name)
    if (asked !== undefined && asked.toLowerCase() !== value?.toLowerCase()) {
      throw invalid(`Identity not found: the secret belongs to another ${name}.`)
    }
  }
}

function invalid(message: string, status = 400): AzureError {
  return new AzureError('invalid_request', status, message)
}

import { noteOperation } from '../audit/request-context.ts'
import { isVersion } from '../arm/api-version.ts'
import type { ResourceManager } from '../arm/resource-manager.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { checkAddress } from '../accounts/firewall.ts'
import { AzureError, Forbidden, NotFound } from '../http/errors.ts'
import type { Authenticator, Call, Caller, Route } from '../http/route.ts'

/** What every route of the data plane needs: the account, and whether the caller may do this there. */
export interface DataPlane {
  readonly accounts: Accounts
  readonly resourceManager: ResourceManager
}

export interface DataRoute {
  readonly method: Route['method']
  /** Below `/openai` and `/openai/v1`, for example `/files/:file`. */
  readonly path: string
  /** Azure's data action, below `Microsoft.CognitiveServices/accounts/OpenAI/`. */
  readonly action: string
  readonly maxBody: number
  /** Default: both forms. */
  readonly forms?: readonly ('classic' | 'v1')[]
  readonly handler: (call: Call, account: Account) => Promise<Response>
}

const ACTIONS = 'Microsoft.CognitiveServices/accounts/OpenAI'

/** R03: each route in both forms that unmodified SDKs use: `/openai/...` with an api-version, `/openai/v1/...` without. */
export function dataRoutes(plane: DataPlane, routes: readonly DataRoute[]): Route[] {
  return routes.flatMap(route =>
    (route.forms ?? ['classic', 'v1']).map((form): Route => ({
      host: 'openai',
      method: route.method,
      path: `${form === 'classic' ? '/openai' : '/openai/v1'}${route.path}`,
      auth: 'openai',
      maxBody: route.maxBody,
      handler: async call => {
        noteOperation({ operationName: `${ACTIONS}/${route.action}` })
        const account = await accountOf(plane, call)
        if (form === 'classic') checkVersion(call)
        await authorize(plane, call, account, route)
        return route.handler(call, account)
      },
    })),
  )
}

/**
 * API key in `api-key` or as bearer token, or an Entra token. R27: a key opens its own account alone.
 * @throws 404 when the host names no account, 401 otherwise
 */
export function dataPlaneAuthenticator(
  plane: DataPlane,
  verifyToken: (token: string) => Promise<Caller>,
): Authenticator {
  return async call => {
    const account = await accountOf(plane, call)
    checkAddress(account, call.peer)
    await checkSubscription(plane, account)
    const bearer = /^bearer\s+(\S+)\s*$/i.exec(call.headers.get('authorization') ?? '')?.[1]
    const apiKey = call.headers.get('api-key') ?? (bearer !== undefined && !isJwt(bearer) ? bearer : undefined)
    if (apiKey !== undefined) {
      if (apiKey.length <= 256 && plane.accounts.acceptsKey(account, apiKey))
        return { type: 'key', account: account.accountId }
      throw account.disableLocalAuth ? localAuthDisabled() : wrongKey()
    }
    if (bearer === undefined) throw wrongKey()
    return verifyToken(bearer).catch(badToken)
  }
}

/** Azure OpenAI's message for every token that it refuses, and what is wrong with this one. */
function badToken(error: unknown): never {
  if (!(error instanceof AzureError) || error.status !== 401) throw error
  const message =
    'Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired. ' +
    error.message
  throw new AzureError('401', 401, message, { cause: error })
}

/** A cancelled subscription does not serve anybody. */
async function checkSubscription({ resourceManager }: DataPlane, account: Account): Promise<void> {
  const { state, subscriptionId } = await resourceManager.subscription(account.subscriptionId)
  if (state === 'Enabled') return
  throw new Forbidden(
    'SubscriptionDisabled',
    `The subscription '${subscriptionId}' of this resource is disabled. Its owner can enable it again.`,
  )
}

async function accountOf(plane: DataPlane, call: Call): Promise<Account> {
  const account = await plane.accounts.bySubdomain(call.label)
  if (account !== undefined) {
    noteOperation({ resourceId: account.id })
    return account
  }
  throw new NotFound(
    '404',
    `There is no resource at ${call.url.host}. Check the endpoint: it is https://<customSubDomainName> followed by the suffix of this cloud.`,
  )
}

async function authorize(plane: DataPlane, call: Call, account: Account, route: DataRoute): Promise<void> {
  if (call.caller.type === 'key' && call.caller.account === account.accountId) return
  const action = `${ACTIONS}/${route.action}`
  if (call.caller.type === 'principal') {
    const { tenantId } = await plane.resourceManager.subscription(account.subscriptionId)
    if (call.caller.tenantId !== tenantId) throw otherTenant(call.caller.tenantId)
    if (await plane.resourceManager.allowsData(call.caller, account.id, action)) return
  }
  const who = call.caller.type === 'principal' ? call.caller.objectId : 'anonymous'
  throw new AzureError(
    'PermissionDenied',
    401,
    `The principal \`${who}\` lacks the required data action \`${action}\` to perform \`${route.method} /openai${route.path}\` operation.`,
  )
}

/** Azure answers 400 with this sentence for a code. */
function otherTenant(tenantId: string): AzureError {
  const message = `Token tenant ${tenantId} does not match resource tenant.`
  return new AzureError('Tenant provided in token does not match resource token', 400, message)
}

function checkVersion(call: Call): void {
  const version = call.query.get('api-version') ?? ''
  if (isVersion(version)) return
  throw new AzureError(
    'InvalidApiVersionParameter',
    400,
    "The query parameter api-version is missing or not a version: add for example '?api-version=2024-10-21', or use the paths below /openai/v1/.",
  )
}

function isJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
}

function wrongKey(): AzureError {
  return new AzureError(
    '401',
    401,
    'Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.',
  )
}

function localAuthDisabled(): AzureError {
  return new AzureError(
    'AuthenticationTypeDisabled',
    403,
    'Key based authentication is disabled for this resource. Use a Microsoft Entra token.',
  )
}

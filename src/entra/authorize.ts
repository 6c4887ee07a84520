import { createHash } from 'node:crypto'
import { noteOperation } from '../audit/request-context.ts'
import type { Env } from '../env.ts'
import { AzureError } from '../http/errors.ts'
import { empty } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { FindTenant } from './discovery.ts'
import { readForm } from './form.ts'
import type { PublicClient } from './public-clients.ts'
import type { Sessions } from './sessions.ts'
import { signedOutPage, signInPage, signInProblem } from './sign-in-page.ts'
import type { UserLogins } from './users.ts'

/** What a code stands for until it is redeemed (RFC 6749 4.1, RFC 7636). */
export interface Grant {
  readonly clientId: string
  readonly redirectUri: string
  readonly challenge: string
  readonly objectId: string
  readonly nonce?: string
  readonly until: number
}

/** Codes that were given out and not redeemed yet. They live for five minutes, so they are kept in memory. */
export class Codes {
  readonly #env: Env
  readonly #grants = new Map<string, Grant>()

  constructor(env: Env) {
    this.#env = env
  }

  issue(grant: Omit<Grant, 'until'>): string {
    const code = this.#env.randomBytes(32).toString('base64url')
    const [oldest] = this.#grants.keys()
    if (this.#grants.size >= 10_000 && oldest !== undefined) this.#grants.delete(oldest)
    this.#grants.set(digest(code), { ...grant, until: this.#env.now() + 5 * 60_000 })
    return code
  }

  /** Works once. */
  redeem(code: string): Grant | undefined {
    const key = digest(code.slice(0, 128))
    const grant = this.#grants.get(key)
    this.#grants.delete(key)
    return grant !== undefined && grant.until > this.#env.now() ? grant : undefined
  }
}

export const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')

export interface AuthorizeOptions {
  readonly findTenant: FindTenant
  readonly clients: ReadonlyMap<string, PublicClient>
  readonly users: UserLogins
  readonly sessions: Sessions
  readonly codes: Codes
}

interface Asked {
  readonly tenant: string
  readonly clientId: string
  readonly redirectUri: string
  readonly responseMode: 'query' | 'fragment'
  readonly challenge: string
  readonly state?: string
  readonly nonce?: string
}

const REASON = 'the sign-in page is where people prove who they are'
const MAX_PARAMETER = 4096

/** The sign-in page, where it sends its form, and signing out. */
export function authorizeRoutes(options: AuthorizeOptions): Route[] {
  const base = { host: 'login', auth: 'none', reason: REASON } as const
  return [
    ...['/:tenant/oauth2/v2.0/authorize', '/:tenant/oauth2/authorize'].map((path): Route => ({
      ...base,
      method: 'GET',
      path,
      maxBody: 0,
      handler: call => authorize(options, call),
    })),
    { ...base, method: 'POST', path: '/:tenant/login', maxBody: 32_768, handler: call => signIn(options, call) },
    ...['/:tenant/oauth2/v2.0/logout', '/:tenant/oauth2/logout'].map((path): Route => ({
      ...base,
      method: 'GET',
      path,
      maxBody: 0,
      handler: call => signOut(options, call),
    })),
  ]
}

async function authorize(options: AuthorizeOptions, call: Call): Promise<Response> {
  const { query } = call
  const client = options.clients.get((query.get('client_id') ?? '').toLowerCase())
  const redirectUri = query.get('redirect_uri') ?? ''
  if (client === undefined)
    return signInProblem('AADSTS700016: The application is not known here. Check the parameter client_id.')
  if (redirectUri.length > MAX_PARAMETER || !client.allowsRedirect(redirectUri))
    return signInProblem(
      `AADSTS50011: The redirect URI specified in the request does not match those configured for '${client.displayName}'.`,
    )
  const responseMode = query.get('response_mode') === 'fragment' ? 'fragment' : 'query'
  const state = query.get('state')
  const back = { redirectUri, responseMode, ...(state === undefined ? {} : { state }) } as const
  const problem = refusalOf(query)
  if (problem !== undefined) return redirectTo(back, problem)
  const nonce = query.get('nonce')
  const asked: Asked = {
    ...back,
    tenant: call.params['tenant'] ?? 'common',
    clientId: client.clientId,
    challenge: query.get('code_challenge') ?? '',
    ...(nonce === undefined ? {} : { nonce }),
  }
  const tenantId = await options.findTenant(asked.tenant)
  const known = options.sessions.signedIn(call)
  const person = known === undefined ? undefined : await options.users.find(known)
  const prompt = query.get('prompt') ?? ''
  const fits = person !== undefined && (tenantId === undefined || person.user.tenantId === tenantId)
  if (fits && !['login', 'select_account'].includes(prompt)) return withCode(options, asked, person.user.objectId)
  if (prompt === 'none')
    return redirectTo(asked, {
      error: 'login_required',
      error_description: 'AADSTS50058: A silent sign-in request was sent but no user is signed in.',
    })
  return showForm(options, asked, query.get('login_hint')?.slice(0, 256) ?? '')
}

function refusalOf(query: ReadonlyMap<string, string>): Record<string, string> | undefined {
  const invalid = (number: number, message: string): Record<string, string> => ({
    error: 'invalid_request',
    error_description: `AADSTS${number}: ${message}`,
  })
  if (query.get('response_type') !== 'code')
    return { ...invalid(700_051, "response_type must be 'code'."), error: 'unsupported_response_type' }
  if (!/^(query|fragment)$/.test(query.get('response_mode') ?? 'query'))
    return invalid(90_014, "response_mode must be 'query' or 'fragment'.")
  if (query.get('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(query.get('code_challenge') ?? ''))
    return invalid(9_002_325, 'Proof Key for Code Exchange is required: send code_challenge with the method S256.')
  const long = [...query].find(([, value]) => value.length > MAX_PARAMETER)
  return long === undefined ? undefined : invalid(90_015, `The parameter ${long[0].slice(0, 64)} is too long.`)
}

function showForm(options: AuthorizeOptions, asked: Asked, name: string, error?: string): Response {
  const { cookie, sealed } = options.sessions.openForm(asked)
  return signInPage({
    action: `/${encodeURIComponent(asked.tenant)}/login`,
    client: options.clients.get(asked.clientId)?.displayName ?? '',
    state: sealed,
    cookie,
    // Browsers apply form-action to the redirect that follows, too.
    formTarget: new URL(asked.redirectUri).origin,
    name,
    ...(error === undefined ? {} : { error }),
  })
}

async function signIn(options: AuthorizeOptions, call: Call): Promise<Response> {
  noteOperation({ operationName: 'SignIn' })
  const form = await readForm(call)
  const asked = options.sessions.readForm(call, form.get('state') ?? '') as Asked | undefined
  if (asked === undefined)
    return signInProblem(
      'AADSTS90013: This sign-in page has expired, or this browser was not shown it. Are cookies on?',
    )
  const name = form.get('name') ?? ''
  noteOperation({ properties: { clientId: asked.clientId, userPrincipalName: name.slice(0, 256) } })
  const tenantId = await options.findTenant(asked.tenant)
  try {
    const { user } = await options.users.login(tenantId, name, form.get('password') ?? '', call.peer)
    noteOperation({ resourceId: `/tenants/${user.tenantId}`, properties: { objectId: user.objectId } })
    return withCode(options, asked, user.objectId, options.sessions.begin(user.objectId))
  } catch (error) {
    if (!(error instanceof AzureError) || error.status >= 500) throw error
    return showForm(options, asked, name.slice(0, 256), error.message.replace(/^AADSTS\d+: /, ''))
  }
}

function withCode(options: AuthorizeOptions, asked: Asked, objectId: string, cookie?: string): Response {
  const { clientId, redirectUri, challenge, nonce } = asked
  const code = options.codes.issue({
    clientId,
    redirectUri,
    challenge,
    objectId,
    ...(nonce === undefined ? {} : { nonce }),
  })
  return redirectTo(asked, { code, session_state: digest(code).slice(0, 36) }, cookie)
}

function redirectTo(
  { redirectUri, responseMode, state }: Pick<Asked, 'redirectUri' | 'responseMode' | 'state'>,
  answer: Record<string, string>,
  cookie?: string,
): Response {
  const url = new URL(redirectUri)
  const values = new URLSearchParams({ ...answer, ...(state === undefined ? {} : { state }) })
  if (responseMode === 'fragment') url.hash = values.toString()
  else for (const [key, value] of values) url.searchParams.set(key, value)
  return empty(303, {
    location: url.href,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
  })
}

/** Ends the session of this browser; goes on only to where one of our clients may be sent. */
function signOut(options: AuthorizeOptions, call: Call): Response {
  const next = call.query.get('post_logout_redirect_uri') ?? ''
  const isKnown =
    next.length < MAX_PARAMETER && [...options.clients.values()].some(client => client.allowsRedirect(next))
  if (!isKnown) return signedOutPage(options.sessions.end)
  const url = new URL(next)
  const state = call.query.get('state')
  if (state !== undefined && state.length < MAX_PARAMETER) url.searchParams.set('state', state)
  return empty(303, { location: url.href, 'set-cookie': options.sessions.end, 'cache-control': 'no-store' })
}

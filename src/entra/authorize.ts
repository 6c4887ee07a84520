import { AzureError } from '../http/errors.ts'
import { empty } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { aadsts, type AadstsNumber } from './aadsts.ts'
import { answerClient, type ReturnAddress, type SignInProblem } from './answer-client.ts'
import { needsNoSecret, type Client } from './clients.ts'
import { kindOfRedirect } from './redirect-uris.ts'
import { readScope } from './scopes.ts'
import { endPage, signInProblem } from './sign-in-page.ts'
import {
  proceed,
  showContinue,
  showSignIn,
  signedInAccount,
  type AuthorizePurpose,
  type SignInOptions,
} from './sign-in.ts'

const REASON = 'the sign-in page is where people prove who they are'
const MAX_PARAMETER = 4096
const MODES = new Set(['query', 'fragment', 'form_post'])

/** The authorization endpoint (RFC 6749 4.1.1), and signing out. */
export function authorizeRoutes(options: SignInOptions): Route[] {
  const get = (path: string, handler: (call: Call) => Promise<Response>): Route => ({
    host: 'login',
    method: 'GET',
    path,
    auth: 'none',
    reason: REASON,
    maxBody: 0,
    handler,
  })
  return [
    get('/:tenant/oauth2/v2.0/authorize', call => authorize(options, call)),
    get('/:tenant/oauth2/authorize', call => authorize(options, call)),
    get('/:tenant/oauth2/v2.0/logout', call => signOut(options, call)),
    get('/:tenant/oauth2/logout', call => signOut(options, call)),
  ]
}

async function authorize(options: SignInOptions, call: Call): Promise<Response> {
  try {
    const tenantId = await options.findTenant(call.params['tenant'] ?? '')
    const client = await options.clients.find(call.query.get('client_id') ?? '', tenantId)
    return await authorizeClient(options, call, client, tenantId)
  } catch (error) {
    // Nothing is sent to an unchecked address.
    if (error instanceof AzureError && error.status < 500) return signInProblem(error.message)
    throw error
  }
}

async function authorizeClient(
  options: SignInOptions,
  call: Call,
  client: Client,
  tenantId: string | undefined,
): Promise<Response> {
  const { query } = call
  const redirectUri = query.get('redirect_uri') ?? ''
  const kind = redirectUri.length > MAX_PARAMETER ? undefined : kindOfRedirect(client.redirectUris, redirectUri)
  if (kind === undefined)
    return signInProblem(
      aadsts(
        50_011,
        `The redirect URI specified in the request does not match the redirect URIs configured for the application '${client.displayName}'.`,
      ),
    )
  const back = returnAddress(query, redirectUri)
  const challenge = query.get('code_challenge')
  const problem = refusalOf(query, challenge === undefined && needsNoSecret(client, kind))
  if (problem !== undefined) return answerClient(back, problem)
  const nonce = query.get('nonce')
  const purpose: AuthorizePurpose = {
    ...back,
    type: 'authorize',
    kind,
    tenant: call.params['tenant'] ?? 'common',
    clientId: client.clientId,
    scope:
      query.get('scope') ?? (query.has('resource') ? `openid offline_access ${query.get('resource')}/.default` : ''),
    ...(challenge === undefined ? {} : { challenge }),
    ...(nonce === undefined ? {} : { nonce }),
  }
  return whoGoesOn(options, call, purpose, client.tenantId ?? tenantId)
}

function returnAddress(query: ReadonlyMap<string, string>, redirectUri: string): ReturnAddress {
  const mode = query.get('response_mode') ?? 'query'
  const state = query.get('state')
  const responseMode = (MODES.has(mode) ? mode : 'query') as ReturnAddress['responseMode']
  const isShort = state !== undefined && state.length <= MAX_PARAMETER
  return { redirectUri, responseMode, ...(isShort ? { state } : {}) }
}

/** Somebody who is signed in goes on at once, unless the request asks for more. All others see a page. */
async function whoGoesOn(
  options: SignInOptions,
  call: Call,
  purpose: AuthorizePurpose,
  tenantId: string | undefined,
): Promise<Response> {
  const { query } = call
  const prompts = new Set((query.get('prompt') ?? '').split(' '))
  const known = await signedInAccount(options, call, tenantId)
  const age = Number(query.get('max_age') ?? Infinity)
  const isFresh = known !== undefined && !(options.env.now() - known.session.authTime > age * 1000)
  if (prompts.has('none')) {
    if (known === undefined || !isFresh)
      return answerClient(purpose, {
        error: 'login_required',
        error_description: aadsts(50_058, 'A silent sign-in request was sent but no user is signed in.'),
      })
    // RFC 8252 8.6: any program on the machine can listen there, so the person has to agree each time.
    if (purpose.kind === 'publicClient')
      return answerClient(purpose, {
        error: 'interaction_required',
        error_description: aadsts(50_076, 'This application needs you to agree on a page: leave prompt=none out.'),
      })
  }
  if (known !== undefined && isFresh && !prompts.has('login')) {
    const asks = prompts.has('select_account') || prompts.has('consent') || purpose.kind === 'publicClient'
    return asks ? showContinue(options, call, purpose, known) : proceed(options, purpose, known)
  }
  return showSignIn(options, call, purpose, { name: query.get('login_hint')?.slice(0, 256) ?? '' })
}

function refusalOf(query: ReadonlyMap<string, string>, lacksChallenge: boolean): SignInProblem | undefined {
  const invalid = (number: AadstsNumber, message: string): SignInProblem => ({
    error: 'invalid_request',
    error_description: aadsts(number, message),
  })
  const long = [...query].find(([, value]) => value.length > MAX_PARAMETER)
  if (long !== undefined) return invalid(90_015, `The parameter ${long[0].slice(0, 64)} is too long.`)
  if (query.get('response_type') !== 'code')
    return { ...invalid(700_051, "response_type must be 'code'."), error: 'unsupported_response_type' }
  if (!MODES.has(query.get('response_mode') ?? 'query'))
    return invalid(90_014, "response_mode must be 'query', 'fragment' or 'form_post'.")
  const challenge = query.get('code_challenge')
  const hasChallenge = query.get('code_challenge_method') === 'S256' && /^[\w-]{43}$/.test(challenge ?? '')
  if (lacksChallenge || (challenge !== undefined && !hasChallenge))
    return invalid(9_002_325, 'Proof Key for Code Exchange is required: send code_challenge with the method S256.')
  try {
    readScope(query.get('scope') ?? '', null)
    return undefined
  } catch (error) {
    return { error: 'invalid_scope', error_description: (error as Error).message }
  }
}

/** Ends the session of this browser, and the tokens that pages got in it. Redirects only to a registered URI of a client. */
async function signOut(options: SignInOptions, call: Call): Promise<Response> {
  const cookie = await options.sessions.end(call)
  const next = call.query.get('post_logout_redirect_uri') ?? ''
  if (next.length > MAX_PARAMETER || !(await mayReturn(options, call, next)))
    return endPage('You signed out', 'It is a good idea to close all browser windows.', cookie)
  const url = new URL(next)
  const state = call.query.get('state')
  if (state !== undefined && state.length < MAX_PARAMETER) url.searchParams.set('state', state)
  return empty(303, { location: url.href, 'set-cookie': cookie, 'cache-control': 'no-store' })
}

async function mayReturn({ clients }: SignInOptions, call: Call, next: string): Promise<boolean> {
  if (clients.mayReturnTo(next)) return true
  const clientId = call.query.get('client_id')
  if (clientId === undefined) return false
  const client = await clients.find(clientId, undefined).catch(() => undefined)
  return client !== undefined && kindOfRedirect(client.redirectUris, next) !== undefined
}

import { noteOperation } from '../audit/request-context.ts'
import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import type { Call, Route } from '../http/route.ts'
import { aadsts } from './aadsts.ts'
import { answerClient, type ReturnAddress } from './answer-client.ts'
import type { Clients } from './clients.ts'
import type { Codes } from './codes.ts'
import type { DeviceCodes } from './device-codes.ts'
import type { FindTenant } from './discovery.ts'
import { readForm } from './form.ts'
import { formTargetOf } from './page.ts'
import type { ClientKind } from './records.ts'
import { digest, type Sessions, type SignedInSession } from './sessions.ts'
import { changePasswordPage, continuePage, endPage, signInPage, signInProblem } from './sign-in-page.ts'
import type { UserAccount, Users } from './users.ts'

/** Why somebody signs in: the sealed state of the pages. */
export type Purpose = AuthorizePurpose | DevicePurpose

interface PurposeBase {
  /** The tenant as the path names it. */
  readonly tenant: string
  readonly clientId: string
}

/** A client waits for a code. */
export interface AuthorizePurpose extends PurposeBase, ReturnAddress {
  readonly type: 'authorize'
  readonly kind: ClientKind
  readonly scope: string
  readonly challenge?: string
  readonly nonce?: string
}

/** A device waits for an approval. */
export interface DevicePurpose extends PurposeBase {
  readonly type: 'device'
  readonly userCode: string
  readonly peer: string
}

export interface SignInOptions {
  readonly env: Env
  readonly findTenant: FindTenant
  readonly clients: Clients
  readonly users: Users
  readonly sessions: Sessions
  readonly codes: Codes
  readonly deviceCodes: DeviceCodes
}

/** Who is signed in with this browser. */
export interface SignedIn {
  readonly account: UserAccount
  readonly session: SignedInSession
  /** Given: the session is new. */
  readonly cookie?: string
}

const EXPIRED = aadsts(90_013, 'This sign-in page has expired, or this browser was not shown it. Are cookies on?')

/** Where the pages of a sign-in send their forms. */
export function signInRoute(options: SignInOptions): Route {
  return {
    host: 'login',
    method: 'POST',
    path: '/:tenant/login',
    auth: 'none',
    reason: 'takes only forms that this browser was shown; they prove who somebody is',
    maxBody: 32_768,
    handler: call => signIn(options, call),
  }
}

async function signIn(options: SignInOptions, call: Call): Promise<Response> {
  noteOperation({ operationName: 'SignIn' })
  const form = await readForm(call)
  const purpose = options.sessions.readForm(call, form.get('state') ?? '') as Purpose | undefined
  if (purpose?.type !== 'authorize' && purpose?.type !== 'device') return signInProblem(EXPIRED)
  noteOperation({ properties: { clientId: purpose.clientId } })
  const action = form.get('action') ?? 'password'
  const tenantId = await tenantOf(options, purpose)
  if (action === 'cancel') return cancel(options, purpose)
  if (action === 'other') return showSignIn(options, call, purpose, { name: '' })
  if (action === 'continue') {
    const known = await signedInAccount(options, call, tenantId)
    return known === undefined ? showSignIn(options, call, purpose, { name: '' }) : proceed(options, purpose, known)
  }
  return withPassword(options, call, { purpose, form, tenantId, changes: action === 'change' })
}

async function withPassword(
  options: SignInOptions,
  call: Call,
  given: { purpose: Purpose; form: URLSearchParams; tenantId: string | undefined; changes: boolean },
): Promise<Response> {
  const { purpose, form, tenantId, changes } = given
  const name = (form.get('name') ?? '').slice(0, 256)
  noteOperation({ properties: { userPrincipalName: name } })
  try {
    const device = (objectId: string): string | undefined => options.sessions.deviceOf(call, objectId)
    const entered = { userName: name, password: form.get('password') ?? '', tenantId, peer: call.peer, device }
    const account = await options.users.signIn(entered)
    const { user } = account
    noteOperation({ resourceId: `/tenants/${user.tenantId}`, properties: { objectId: user.objectId } })
    if (user.mustChangePassword && !changes) return showChange(options, call, purpose, { name: user.userPrincipalName })
    if (changes) await choosePassword(options, user.objectId, form)
    const { session, cookie } = await options.sessions.begin(call, user)
    const signedIn = { account, session, cookie }
    // Somebody who typed a password for a device still has to confirm that the device is theirs.
    return purpose.type === 'device'
      ? showContinue(options, call, purpose, signedIn)
      : proceed(options, purpose, signedIn)
  } catch (error) {
    if (!(error instanceof AzureError) || error.status >= 500) throw error
    noteOperation({ properties: { errorCode: /^AADSTS\d+/.exec(error.message)?.[0] ?? error.code } })
    const said = { name, error: error.message.replace(/^AADSTS\d+: /, '') }
    return changes ? showChange(options, call, purpose, said) : showSignIn(options, call, purpose, said)
  }
}

async function choosePassword({ users }: SignInOptions, objectId: string, form: URLSearchParams): Promise<void> {
  const chosen = form.get('newPassword') ?? ''
  const refuse = (message: string): AzureError => new AzureError('invalid_request', 400, message)
  if (chosen !== form.get('repeated')) throw refuse('The two new passwords differ.')
  if (chosen === form.get('password')) throw refuse('The new password must differ from the current one.')
  await users.setPassword(objectId, chosen, false)
}

/** The account that this browser is signed in to, if it may sign in to this tenant still. */
export async function signedInAccount(
  { sessions, users }: SignInOptions,
  call: Call,
  tenantId: string | undefined,
): Promise<SignedIn | undefined> {
  const session = await sessions.signedIn(call)
  const account = session && (await users.byId(session.objectId))
  if (session === undefined || account === undefined || !account.principal.enabled) return undefined
  if (session.authTime < (account.principal.tokensValidFrom ?? 0)) return undefined
  return tenantId === undefined || account.user.tenantId === tenantId ? { account, session } : undefined
}

/** Somebody signed in and agreed: the client gets its code, the device its approval. */
export async function proceed(
  options: SignInOptions,
  purpose: Purpose,
  { account, session, cookie }: SignedIn,
): Promise<Response> {
  const { objectId, tenantId, userPrincipalName } = account.user
  noteOperation({ resourceId: `/tenants/${tenantId}`, properties: { objectId } })
  if (purpose.type === 'device') {
    const { displayName } = await options.clients.find(purpose.clientId, undefined)
    const isDone = await options.deviceCodes.answer(purpose.userCode, { objectId, authTime: session.authTime })
    if (!isDone) return signInProblem(aadsts(70_020, 'The code has expired or was used already.'))
    return endPage(
      'You are signed in',
      `${displayName} has access as ${userPrincipalName}. You can close this window.`,
      cookie,
    )
  }
  const { clientId, redirectUri, kind, challenge, nonce, scope } = purpose
  const code = await options.codes.issue({
    clientId,
    redirectUri,
    kind,
    objectId,
    tenantId,
    session: session.id,
    authTime: session.authTime,
    scope,
    ...(challenge === undefined ? {} : { challenge }),
    ...(nonce === undefined ? {} : { nonce }),
  })
  return answerClient(purpose, { code, session_state: digest(session.id).slice(0, 36) }, cookie)
}

async function cancel({ deviceCodes }: SignInOptions, purpose: Purpose): Promise<Response> {
  if (purpose.type === 'authorize')
    return answerClient(purpose, {
      error: 'access_denied',
      error_description: aadsts(65_004, 'User declined to continue.'),
    })
  await deviceCodes.answer(purpose.userCode, 'declined')
  return endPage('The device was not signed in', 'You can close this window.')
}

/** The tenant that somebody has to be of: the path's, or the client's own. */
async function tenantOf({ findTenant, clients }: SignInOptions, purpose: Purpose): Promise<string | undefined> {
  const tenantId = await findTenant(purpose.tenant)
  return tenantId ?? (await clients.find(purpose.clientId, undefined)).tenantId
}

async function basics(options: SignInOptions, call: Call, purpose: Purpose) {
  const { cookie, sealed } = options.sessions.openForm(call, purpose)
  const { displayName } = await options.clients.find(purpose.clientId, undefined)
  return {
    action: `/${encodeURIComponent(purpose.tenant)}/login`,
    client: displayName,
    state: sealed,
    cookie,
    // Browsers apply form-action to the redirect that follows, too.
    formTarget: purpose.type === 'authorize' ? formTargetOf(purpose.redirectUri) : '',
  }
}

export async function showSignIn(
  options: SignInOptions,
  call: Call,
  purpose: Purpose,
  said: { readonly name: string; readonly error?: string },
): Promise<Response> {
  return signInPage({ ...(await basics(options, call, purpose)), ...said })
}

async function showChange(
  options: SignInOptions,
  call: Call,
  purpose: Purpose,
  said: { readonly name: string; readonly error?: string },
): Promise<Response> {
  return changePasswordPage({ ...(await basics(options, call, purpose)), ...said })
}

export async function showContinue(
  options: SignInOptions,
  call: Call,
  purpose: Purpose,
  { account, cookie }: SignedIn,
): Promise<Response> {
  const form = await basics(options, call, purpose)
  const device = purpose.type === 'device' ? purpose.peer : undefined
  // Only the session's cookie is set; the form's was set by the page before.
  return continuePage({ ...form, cookie: cookie ?? form.cookie, userName: account.user.userPrincipalName, device })
}

import { noteOperation } from '../audit/request-context.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import { needsNoSecret } from './clients.ts'
import { aadsts, loginError } from './aadsts.ts'
import { isAdfs } from './discovery.ts'
import { readForm } from './form.ts'
import { loginLimits, type LoginLimits } from './login-limits.ts'
import { readScope } from './scopes.ts'
import { deviceCodePage, signInProblem } from './sign-in-page.ts'
import { showContinue, showSignIn, signedInAccount, type DevicePurpose, type SignInOptions } from './sign-in.ts'

const reason = 'a device proves nothing yet: a person signs in for it'
/** Wrong codes from one address before it is slowed down, so that nobody guesses the codes of others. */
const FREE_GUESSES = 10

interface CodeForm {
  readonly type: 'device-code'
}

/** The device authorization endpoint (RFC 8628), and the page where a person enters the code. */
export function deviceRoutes(options: SignInOptions, authentication: ClientAuthentication): Route[] {
  const base = { host: 'login', auth: 'none', reason } as const
  const guesses = loginLimits(options.env, FREE_GUESSES)
  const begin = (isV2: boolean) => (call: Call) => beginDevice(options, authentication, call, isV2)
  return [
    { ...base, method: 'POST', path: '/:tenant/oauth2/v2.0/devicecode', maxBody: 16_384, handler: begin(true) },
    { ...base, method: 'POST', path: '/:tenant/oauth2/devicecode', maxBody: 16_384, handler: begin(false) },
    { ...base, method: 'GET', path: '/devicelogin', maxBody: 0, handler: call => askCode(options, call) },
    {
      ...base,
      method: 'POST',
      path: '/devicelogin',
      maxBody: 8_192,
      handler: call => takeCode(options, guesses, call),
    },
  ]
}

async function beginDevice(
  options: SignInOptions,
  authentication: ClientAuthentication,
  call: Call,
  isV2: boolean,
): Promise<Response> {
  noteOperation({ operationName: 'DeviceCode' })
  const tenant = call.params['tenant'] ?? ''
  const tenantId = await options.findTenant(tenant)
  const form = await readForm(call)
  const { client, proof } = await authentication.authenticate(call, form, tenantId)
  if (proof === 'none' && !needsNoSecret(client, undefined)) {
    const message = `Application '${client.clientId}' may not use device codes: set isFallbackPublicClient on it.`
    throw loginError('invalid_client', 7_000_218, message)
  }
  const resource = form.get('resource')
  const scope = form.get('scope') ?? (resource === null ? '' : `openid offline_access ${resource}/.default`)
  readScope(scope, null)
  const device = { clientId: client.clientId, tenant, scope, peer: call.peer }
  const { deviceCode, userCode, expiresIn, interval } = await options.deviceCodes.begin(device)
  const page = `${call.origin}/devicelogin`
  const message = `To sign in, use a web browser to open the page ${page} and enter the code ${userCode} to authenticate.`
  const numbers =
    isV2 || isAdfs(tenant)
      ? { expires_in: expiresIn, interval }
      : { expires_in: String(expiresIn), interval: String(interval) }
  return json({
    user_code: userCode,
    device_code: deviceCode,
    [isV2 ? 'verification_uri' : 'verification_url']: page,
    ...numbers,
    message,
  })
}

async function askCode(options: SignInOptions, call: Call, error?: string): Promise<Response> {
  const form: CodeForm = { type: 'device-code' }
  const { cookie, sealed } = options.sessions.openForm(call, form)
  return deviceCodePage({ action: '/devicelogin', state: sealed, cookie, formTarget: '', error })
}

async function takeCode(options: SignInOptions, guesses: LoginLimits, call: Call): Promise<Response> {
  noteOperation({ operationName: 'DeviceCodeEntry' })
  const form = await readForm(call)
  const shown = options.sessions.readForm(call, form.get('state') ?? '') as CodeForm | undefined
  if (shown?.type !== 'device-code')
    return signInProblem(aadsts(90_013, 'This page has expired, or this browser was not shown it. Are cookies on?'))
  await guesses.pace(call.peer)
  const found = await options.deviceCodes.find(form.get('code') ?? '')
  if (found === undefined) {
    guesses.failed(call.peer)
    return askCode(
      options,
      call,
      "That code didn't work. Check the code and try again, or ask the device for a new one.",
    )
  }
  const { clientId, tenant, userCode, peer } = found
  const purpose: DevicePurpose = { type: 'device', clientId, tenant, userCode, peer }
  const tenantId = (await options.findTenant(tenant)) ?? (await options.clients.find(clientId, undefined)).tenantId
  const known = await signedInAccount(options, call, tenantId)
  return known === undefined
    ? showSignIn(options, call, purpose, { name: '' })
    : showContinue(options, call, purpose, known)
}

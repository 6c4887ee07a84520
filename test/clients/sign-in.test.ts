import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const { authority, tenantId, portal, resourceManager, subscriptionId, administrator } = cloud.endpoints
const PORTAL = 'c44b4083-3bb0-49c1-b47d-974e53cbdf3c'
const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
const SCOPE = 'https://management.azure.com//.default openid profile offline_access'

/** A minimal browser for signing in: it keeps cookies and does not follow redirects. */
class Browser {
  readonly cookies = new Map<string, string>()

  async go(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { cookie } })
    for (const set of response.headers.getSetCookie()) {
      assert.match(set, /; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
      const [name = '', value = ''] = (set.split(';')[0] ?? '').split('=')
      if (/Max-Age=0/.test(set)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return response
  }
}

interface Attempt {
  readonly verifier: string
  readonly url: URL
}

function attempt(change: Record<string, string> = {}): Attempt {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(`${authority}/${tenantId}/oauth2/v2.0/authorize`)
  const parameters = {
    client_id: PORTAL,
    response_type: 'code',
    redirect_uri: `${portal}/`,
    scope: SCOPE,
    state: 'back to where I was',
    nonce: 'n-1',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    response_mode: 'fragment',
    ...change,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== '') url.searchParams.set(name, value)
  return { verifier, url }
}

async function fillIn(browser: Browser, { url }: Attempt, name: string, password: string): Promise<Response> {
  const page = await browser.go(url.href)
  assert.equal(page.status, 200)
  const html = await page.text()
  const state = /name="state" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const action = /action="([^"]+)"/.exec(html)?.[1] ?? ''
  return browser.go(`${authority}${action}`, { method: 'POST', body: new URLSearchParams({ state, name, password }) })
}

const answerOf = (response: Response): URLSearchParams => {
  assert.equal(response.status, 303)
  const location = new URL(response.headers.get('location') ?? '')
  assert.equal(location.origin, portal)
  return new URLSearchParams(location.hash.slice(1))
}

const redeem = async (form: Record<string, string>) => {
  const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    headers: { origin: portal },
    body: new URLSearchParams(form),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, string> }
}

const codeForm = (code: string, verifier: string, change: Record<string, string> = {}): Record<string, string> => ({
  client_id: PORTAL,
  grant_type: 'authorization_code',
  code,
  code_verifier: verifier,
  redirect_uri: `${portal}/`,
  scope: SCOPE,
  ...change,
})

const browser = new Browser()

test('a person signs in with name and password, and gets tokens that Resource Manager takes', async () => {
  const signIn = attempt()
  const answer = answerOf(await fillIn(browser, signIn, administrator.userName, administrator.password))
  assert.equal(answer.get('state'), 'back to where I was')
  const { status, headers, body } = await redeem(codeForm(answer.get('code') ?? '', signIn.verifier))
  assert.equal(status, 200, JSON.stringify(body))
  assert.equal(headers.get('access-control-allow-origin'), portal)
  const jwks = createRemoteJWKSet(new URL(`${authority}/${tenantId}/discovery/v2.0/keys`))
  const issuer = `${authority}/${tenantId}/v2.0`
  const { payload } = await jwtVerify(body['id_token'] ?? '', jwks, { issuer, audience: PORTAL })
  assert.deepEqual(
    [payload['nonce'], payload['preferred_username'], payload['tid']],
    ['n-1', administrator.userName, tenantId],
  )
  const client = JSON.parse(Buffer.from(body['client_info'] ?? '', 'base64url').toString()) as Record<string, string>
  assert.deepEqual(client, { uid: payload['oid'], utid: tenantId })
  const listed = await fetch(`${resourceManager}/subscriptions?api-version=2022-12-01`, {
    headers: { authorization: `Bearer ${body['access_token']}`, origin: portal },
  })
  assert.equal(listed.status, 200)
  assert.equal(listed.headers.get('access-control-allow-origin'), portal)
  assert.ok((await listed.text()).includes(subscriptionId))

  const next = await redeem({
    client_id: PORTAL,
    grant_type: 'refresh_token',
    refresh_token: body['refresh_token'] ?? '',
    scope: 'https://vault.azure.net/.default offline_access',
  })
  assert.equal(next.status, 200, JSON.stringify(next.body))
  assert.notEqual(next.body['refresh_token'], body['refresh_token'], 'each use makes the next one')
  const third = await redeem({
    client_id: PORTAL,
    grant_type: 'refresh_token',
    refresh_token: next.body['refresh_token'] ?? '',
  })
  assert.equal(third.status, 200)
  const stolen = await redeem({
    client_id: PORTAL,
    grant_type: 'refresh_token',
    refresh_token: body['refresh_token'] ?? '',
  })
  assert.equal(stolen.body['error'], 'invalid_grant', 'one that was replaced works no more')
  const heirs = await redeem({
    client_id: PORTAL,
    grant_type: 'refresh_token',
    refresh_token: third.body['refresh_token'] ?? '',
  })
  assert.equal(heirs.body['error'], 'invalid_grant', 'and whoever shows it ends all that came of the sign-in')
})

test('the browser stays signed in: the next sign-in needs no password, unless it is asked for', async () => {
  const code = answerOf(await browser.go(attempt({ prompt: 'none' }).url.href)).get('code')
  assert.ok(code)
  const asked = await browser.go(attempt({ prompt: 'login', login_hint: 'someone@else' }).url.href)
  assert.match(await asked.text(), /value="someone@else"/)
  const silent = answerOf(await new Browser().go(attempt({ prompt: 'none' }).url.href))
  assert.equal(silent.get('error'), 'login_required')
  const out = await browser.go(
    `${authority}/${tenantId}/oauth2/v2.0/logout?post_logout_redirect_uri=${encodeURIComponent(`${portal}/`)}`,
  )
  assert.equal(out.headers.get('location'), `${portal}/`)
  assert.equal(answerOf(await browser.go(attempt({ prompt: 'none' }).url.href)).get('error'), 'login_required')
})

test('a wrong password is refused on the page, without telling which names exist', async () => {
  const guesser = new Browser()
  const [wrong, unknown] = [
    await fillIn(guesser, attempt(), administrator.userName, 'wrong'),
    await fillIn(guesser, attempt(), 'nobody@ownkey.localhost', 'wrong'),
  ]
  const texts = [await wrong.text(), await unknown.text()].map(text => /role="alert">([^<]+)/.exec(text)?.[1])
  assert.deepEqual([wrong.status, unknown.status], [401, 401])
  assert.equal(texts[0], texts[1])
  for (let n = 0; n < 6; n += 1) await fillIn(guesser, attempt(), 'victim@ownkey.localhost', 'wrong')
  const locked = await (await fillIn(guesser, attempt(), 'victim@ownkey.localhost', 'wrong')).text()
  assert.match(locked, /role="alert">[^<]*(wait|locked|again)/i)
})

test('a code works once, for its client, its redirect URI and its verifier', async () => {
  const own = new Browser()
  const fresh = async (): Promise<{ code: string; verifier: string }> => {
    const signIn = attempt()
    const response = own.cookies.has('__Host-ownkey-session')
      ? await own.go(signIn.url.href)
      : await fillIn(own, signIn, administrator.userName, administrator.password)
    return { code: answerOf(response).get('code') ?? '', verifier: signIn.verifier }
  }
  const changes: Record<string, string>[] = [
    { code_verifier: randomBytes(32).toString('base64url') },
    { redirect_uri: 'https://evil.example/' },
    { client_id: AZURE_CLI },
    { code: 'made-up' },
  ]
  for (const change of changes) {
    const { code, verifier } = await fresh()
    assert.equal(
      (await redeem(codeForm(code, verifier, change))).body['error'],
      'invalid_grant',
      JSON.stringify(change),
    )
  }
  const { code, verifier } = await fresh()
  assert.equal((await redeem(codeForm(code, verifier))).status, 200)
  assert.equal((await redeem(codeForm(code, verifier))).body['error'], 'invalid_grant')
})

test('nobody is redirected to an unregistered address or signed in by another site`s form', async () => {
  for (const change of [
    { redirect_uri: 'https://evil.example/' },
    { redirect_uri: `${portal}/other` },
    { client_id: '00000000-0000-0000-0000-000000000000' },
    { client_id: AZURE_CLI, redirect_uri: 'http://localhost.evil.example/' },
  ]) {
    const response = await new Browser().go(attempt(change).url.href)
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('location'), null)
    assert.match(response.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/)
  }
  const refused = answerOf(await new Browser().go(attempt({ code_challenge: '' }).url.href))
  assert.equal(refused.get('error'), 'invalid_request')
  const page = await (await new Browser().go(attempt().url.href)).text()
  const state = /name="state" value="([^"]+)"/.exec(page)?.[1] ?? ''
  const forged = await new Browser().go(`${authority}/${tenantId}/login`, {
    method: 'POST',
    body: new URLSearchParams({ state, name: administrator.userName, password: administrator.password }),
  })
  assert.equal(forged.status, 400)
  const loopback = await new Browser().go(
    attempt({ client_id: AZURE_CLI, redirect_uri: 'http://localhost:51234/', response_mode: 'query' }).url.href,
  )
  assert.equal(loopback.status, 200)
})

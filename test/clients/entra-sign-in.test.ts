import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { cloudFor } from '../support/cloud.ts'
import { Graph } from '../support/graph.ts'
import { alertOf, formOf, type Browser, type Page } from '../support/sign-in-browser.ts'
import { answerOf, AZURE_CLI, signIns, type Attempt } from '../support/sign-in.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const { authority, tenantId, portal, administrator } = endpoints
const { attempt, newBrowser, signedIn, redeem, refresh } = signIns(endpoints)
const CALLBACK = 'https://app.example/signin'
/** A web application, which keeps a secret. */
let web: { id: string; appId: string; secret: string }
before(async () => {
  const graph = await Graph.asAdministrator(endpoints)
  const made = await graph.application({
    displayName: 'A <b>web</b> app',
    web: { redirectUris: [CALLBACK] },
    spa: { redirectUris: ['https://page.example/'] },
  })
  const { secretText = '' } = await graph.get<Record<string, string>>(
    'POST',
    `/applications/${made.id}/addPassword`,
    {},
  )
  web = { ...made, secret: secretText }
})

test('requests for several resources with one refresh token at a time all succeed, and get the same successor', async () => {
  const { body } = await redeem(await signedIn(newBrowser()))
  const answers = await Promise.all(
    [
      'https://vault.azure.net/.default',
      'https://management.azure.com/.default',
      'https://graph.microsoft.com/.default',
    ].map(scope => refresh(body['refresh_token'], { scope })),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal(new Set(answers.map(answer => answer.body['refresh_token'])).size, 1)
})

test('only a page of the same origin may use a page`s tokens, and they end when the person signs out', async () => {
  const browser = newBrowser()
  const given = await signedIn(browser)
  assert.deepEqual((await redeem(given, {}, null)).body['error_codes'], [9002327])
  const { body } = await redeem(await signedIn(browser))
  assert.deepEqual((await refresh(body['refresh_token'], {}, 'https://evil.example')).body['error_codes'], [9002327])
  const next = await refresh(body['refresh_token'])
  assert.equal(next.status, 200)
  await browser.go(`${authority}/${tenantId}/oauth2/v2.0/logout`)
  assert.equal((await refresh(next.body['refresh_token'])).body['error'], 'invalid_grant')
})

test('a refresh token is for the client that got it; another client`s use ends the family', async () => {
  const { body } = await redeem(await signedIn(newBrowser()))
  const other = { client_id: AZURE_CLI }
  assert.equal((await refresh(body['refresh_token'], other, null)).body['error'], 'invalid_grant')
  assert.equal((await refresh(body['refresh_token'])).body['error'], 'invalid_grant')
})

test('a code that comes twice was stolen, so its tokens end', async () => {
  const given = await signedIn(newBrowser())
  const first = await redeem(given)
  assert.equal(first.status, 200)
  assert.equal((await redeem(given)).body['error'], 'invalid_grant')
  assert.equal((await refresh(first.body['refresh_token'])).body['error'], 'invalid_grant')
})

test('a web application shows its secret; PKCE holds where it was asked for, and cannot be stripped off', async () => {
  const own = { client_id: web.appId, redirect_uri: CALLBACK }
  const secret = { ...own, client_secret: web.secret }
  const browser = newBrowser()
  const fresh = async (change: Record<string, string> = {}): Promise<Attempt & { code: string }> => {
    const asked = attempt({ ...own, ...change })
    const page = await browser.go(asked.url)
    const answer =
      page.status === 303 ? page : await browser.signIn(page, administrator.userName, administrator.password)
    return { ...asked, code: answerOf(answer).get('code') ?? '' }
  }
  assert.equal((await redeem(await fresh(), secret, null)).status, 200)
  assert.deepEqual((await redeem(await fresh(), own, null)).body['error_codes'], [7000218])
  assert.deepEqual((await redeem(await fresh(), { ...secret, code_verifier: '' }, null)).body['error_codes'], [900144])
  const bare = { code_challenge: '', code_challenge_method: '' }
  assert.equal((await redeem(await fresh(bare), { ...secret, code_verifier: '' }, null)).status, 200)
  const stripped = await redeem(await fresh(bare), secret, null)
  assert.deepEqual(stripped.body['error_codes'], [501481])
  assert.deepEqual((await redeem(await fresh(), secret, 'https://page.example')).body['error_codes'], [9002326])
  const page = await newBrowser().go(attempt(own).url)
  assert.match(page.html, /A &lt;b&gt;web&lt;\/b&gt; app/)
})

test('redirect URIs are compared letter by letter; answers and errors go nowhere else', async () => {
  for (const uri of [
    `${CALLBACK}/`,
    `${CALLBACK}?x=1`,
    'https://app.example/signin/../other',
    'https://APP.example/signin',
    'https://app.example:443/signin',
    'https://app.example.evil.example/signin',
    'https://user@app.example/signin',
    'http://app.example/signin',
    `${CALLBACK}#x`,
  ]) {
    const page = await newBrowser().go(attempt({ client_id: web.appId, redirect_uri: uri }).url)
    assert.deepEqual([page.status, page.headers.get('location')], [400, null], uri)
    assert.match(alertOf(page) ?? '', /AADSTS50011/)
  }
  for (const uri of [
    'http://localhost:1/path',
    'http://localhost:1/?x',
    'http://user@localhost:1',
    'http://localhost.evil.example:1',
    'http://[::1]:1/#x',
    'https://localhost:1',
  ]) {
    const page = await newBrowser().go(attempt({ client_id: AZURE_CLI, redirect_uri: uri }).url)
    assert.equal(page.status, 400, uri)
  }
  const next = `${authority}/${tenantId}/oauth2/v2.0/logout?post_logout_redirect_uri=`
  for (const uri of ['https://evil.example/', `${portal}.evil.example/`, 'javascript:alert(1)', '//evil.example'])
    assert.equal((await newBrowser().go(next + encodeURIComponent(uri))).headers.get('location'), null)
  const own = await newBrowser().go(`${next}${encodeURIComponent(CALLBACK)}&client_id=${web.appId}`)
  assert.equal(own.headers.get('location'), CALLBACK)
})

test('plain PKCE, other response types and several resources are refused to the client', async () => {
  for (const [change, error] of [
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ code_challenge_method: '' }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code id_token' }, 'unsupported_response_type'],
    [{ response_mode: 'web_message' }, 'invalid_request'],
    [{ scope: 'https://vault.azure.net/.default https://management.azure.com/.default' }, 'invalid_scope'],
  ] as const) {
    const answer = answerOf(await newBrowser().go(attempt(change).url))
    assert.deepEqual([answer.get('error'), answer.get('state')], [error, 's'], JSON.stringify(change))
  }
})

test('for a program on this machine somebody has to agree on a page each time', async () => {
  const browser = newBrowser()
  await signedIn(browser)
  const cli = { client_id: AZURE_CLI, redirect_uri: 'http://localhost:45678', response_mode: 'form_post' }
  const silent = answerOf(await browser.go(attempt({ ...cli, response_mode: 'query', prompt: 'none' }).url))
  assert.equal(silent.get('error'), 'interaction_required')
  const asked = attempt(cli)
  const page = await browser.go(asked.url)
  assert.equal(page.status, 200)
  assert.match(page.html, /Continue to Azure CLI\?/)
  assert.match(page.headers.get('content-security-policy') ?? '', /form-action 'self' http:\/\/localhost:45678;/)
  const posted = await browser.submit(page, { action: 'continue' })
  const { action, values } = formOf(posted)
  assert.deepEqual([action, values['state']], [cli.redirect_uri, 's'])
  assert.match(posted.headers.get('content-security-policy') ?? '', /script-src 'sha256-/)
  const change = { client_id: AZURE_CLI, redirect_uri: cli.redirect_uri }
  assert.equal((await redeem({ ...asked, code: values['code'] ?? '' }, change, null)).status, 200)
  const declined = await browser.submit(await browser.go(attempt({ ...cli, response_mode: 'query' }).url), {
    action: 'cancel',
  })
  assert.equal(answerOf(declined).get('error'), 'access_denied')
})

test('a form is accepted only from the browser that was shown it, and from this host', async () => {
  const shown = await newBrowser().go(attempt().url)
  const { action, values } = formOf(shown)
  const fields = new URLSearchParams({ ...values, name: administrator.userName, password: administrator.password })
  const send = async (browser: Browser, origin: string): Promise<Page> =>
    browser.go(new URL(action, authority).href, { method: 'POST', body: fields, headers: { origin } })
  const other = newBrowser()
  await other.go(attempt().url)
  assert.equal((await send(other, new URL(authority).origin)).status, 400, 'another browser')
  const browser = newBrowser()
  const page = await browser.go(attempt().url)
  const own = new URLSearchParams({
    ...formOf(page).values,
    name: administrator.userName,
    password: administrator.password,
  })
  for (const origin of ['https://evil.example', 'null', portal]) {
    const answer = await browser.go(new URL(action, authority).href, { method: 'POST', body: own, headers: { origin } })
    assert.equal(answer.status, 400, origin)
    assert.equal(browser.cookies.has('__Host-ownkey-session'), false)
  }
  const tampered = { ...formOf(page).values, state: `${formOf(page).values['state']?.slice(0, -4)}AAAA` }
  const forged = new URLSearchParams({ ...tampered, name: administrator.userName, password: administrator.password })
  assert.equal((await browser.go(new URL(action, authority).href, { method: 'POST', body: forged })).status, 400)
  assert.equal((await browser.signIn(page, administrator.userName, administrator.password)).status, 303)
})

test('signing in gives a new session, and signing out ends it on the server too', async () => {
  const browser = newBrowser()
  await signedIn(browser)
  const first = browser.cookies.get('__Host-ownkey-session') ?? ''
  await browser.signIn(
    await browser.go(attempt({ prompt: 'login' }).url),
    administrator.userName,
    administrator.password,
  )
  const second = browser.cookies.get('__Host-ownkey-session') ?? ''
  assert.notEqual(first, second)
  const silent = async (cookie: string): Promise<string | null> => {
    const thief = newBrowser()
    thief.cookies.set('__Host-ownkey-session', cookie)
    return answerOf(await thief.go(attempt({ prompt: 'none' }).url)).get('error')
  }
  assert.equal(await silent(first), 'login_required', 'the former session ended')
  assert.equal(await silent(second), null)
  await browser.go(`${authority}/${tenantId}/oauth2/v2.0/logout`)
  assert.equal(await silent(second), 'login_required', 'a copy of the cookie is worth nothing')
})

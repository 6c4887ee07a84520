import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, getFips, type webcrypto } from 'node:crypto'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose'
import { makeCertificate } from '../support/certificate.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph, ownToken, tokenRequest } from '../support/graph.ts'
import { alertOf, type Page } from '../support/sign-in-browser.ts'
import { answerOf, AZURE_CLI, signIns, VAULT } from '../support/sign-in.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const { authority, tenantId, administrator } = endpoints
const { attempt, newBrowser, signedIn, redeem, refresh } = signIns(endpoints)
const graph = await Graph.asAdministrator(endpoints)

/** An application that logs in with a secret. */
async function application(displayName: string): Promise<{ id: string; appId: string; secret: string }> {
  const made = await graph.application({ displayName })
  const { secretText = '' } = await graph.get<Record<string, string>>(
    'POST',
    `/applications/${made.id}/addPassword`,
    {},
  )
  return { ...made, secret: secretText }
}

test('a person whose password must be changed chooses one, and everything from before it ends', async () => {
  const domain = administrator.userName.split('@')[1]
  const userPrincipalName = `ann@${domain}`
  const user = { displayName: 'Ann', userPrincipalName, passwordProfile: { password: 'first-Passw0rd' } }
  const { id } = await graph.get<{ id: string }>('POST', '/users', user)
  const browser = newBrowser()
  const asked = attempt()
  const change = await browser.signIn(await browser.go(asked.url), userPrincipalName.toUpperCase(), 'first-Passw0rd')
  assert.match(change.html, /Choose a new password/)
  assert.equal(browser.cookies.has('__Host-ownkey-session'), false)
  const choose = async (newPassword: string, repeated: string): Promise<Page> =>
    browser.submit(change, { password: 'first-Passw0rd', newPassword, repeated, action: 'change' })
  assert.match(alertOf(await choose('second-Secret', 'another-Secret')) ?? '', /differ/)
  assert.match(alertOf(await choose('first-Passw0rd', 'first-Passw0rd')) ?? '', /must differ/)
  assert.match(alertOf(await choose('short', 'short')) ?? '', /8 to 256 characters/)
  const code = answerOf(await choose('second-Secret', 'second-Secret')).get('code') ?? ''
  const { body } = await redeem({ ...asked, code })
  const own = new Graph(
    endpoints,
    String(
      (await refresh(body['refresh_token'], { scope: 'https://graph.microsoft.com/.default' })).body['access_token'],
    ),
  )
  assert.equal((await own.get('GET', '/me'))['userPrincipalName'], userPrincipalName)
  assert.equal((await own.ask('POST', '/users', user)).status, 403, 'only an administrator may change users')
  await new Promise(resolve => setTimeout(resolve, 1000))
  const third = { currentPassword: 'second-Secret', newPassword: 'third-Secret' }
  assert.equal((await own.ask('POST', '/me/changePassword', { ...third, currentPassword: 'wrong' })).status, 400)
  await own.get('POST', '/me/changePassword', third)
  assert.equal((await own.ask('GET', '/me')).status, 401, 'its access tokens end')
  assert.equal(answerOf(await browser.go(attempt({ prompt: 'none' }).url)).get('error'), 'login_required')
  await graph.get('PATCH', `/users/${id}`, { accountEnabled: false })
  const disabled = await newBrowser().signIn(await newBrowser().go(attempt().url), userPrincipalName, 'third-Secret')
  assert.equal(disabled.status, 400)
  const again = newBrowser()
  assert.match(
    alertOf(await again.signIn(await again.go(attempt().url), userPrincipalName, 'third-Secret')) ?? '',
    /disabled/,
  )
})

test('a device waits until its own code is approved', async () => {
  const begin = async (): Promise<Record<string, string>> => {
    const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/devicecode`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: AZURE_CLI, scope: VAULT }),
    })
    return (await response.json()) as Record<string, string>
  }
  const poll = async (device: Record<string, string>, change: Record<string, string> = {}) => {
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: AZURE_CLI }
    return (await tokenRequest(endpoints, { ...form, device_code: device['device_code'] ?? '', ...change })).body
  }
  const browser = newBrowser()
  const device = await begin()
  assert.match(device['user_code'] ?? '', /^[B-Z]{9}$/)
  assert.equal((await poll(device))['error'], 'authorization_pending')
  assert.equal((await poll(device, { client_id: administrator.clientId }))['error'], 'bad_verification_code')
  const entry = await browser.go(device['verification_uri'] ?? '')
  assert.equal((await browser.submit(entry, { code: 'BCDFGHJKL' })).status, 401)
  const asked = await browser.submit(entry, { code: (device['user_code'] ?? '').replace(/(...)/g, '$1-') })
  const confirm = await browser.signIn(asked, administrator.userName, administrator.password)
  assert.equal((await poll(device))['error'], 'authorization_pending', 'a password alone approves nothing')
  await browser.submit(confirm, { action: 'continue' })
  assert.ok((await poll(device))['refresh_token'])
  assert.equal((await poll(device))['error'], 'bad_verification_code', 'once')
  const second = await begin()
  const known = await browser.submit(await browser.go(second['verification_uri'] ?? ''), {
    code: second['user_code'] ?? '',
  })
  assert.match(known.html, /in the name of admin@/)
  await browser.submit(known, { action: 'cancel' })
  assert.equal((await poll(second, { grant_type: 'device_code' }))['error'], 'authorization_declined')
})

test('names and passwords are taken from no client unless the cloud allows it', async () => {
  const form = {
    grant_type: 'password',
    client_id: AZURE_CLI,
    username: administrator.userName,
    password: administrator.password,
  }
  const { body } = await tokenRequest(endpoints, { ...form, scope: VAULT })
  assert.equal(body['error'], 'unsupported_grant_type')
  assert.match(String(body['error_description']), /--allow-ropc/)
})

test('client assertions: for this tenant`s endpoint, within their time, with the registered key', async () => {
  const certificate = await makeCertificate('CN=robot')
  const body = { displayName: 'robot', keyCredentials: [{ key: certificate.der }] }
  const { appId } = await graph.application(body)
  const x5t = createHash('sha256').update(Buffer.from(certificate.der, 'base64')).digest('base64url')
  const now = Math.floor(Date.now() / 1000)
  const ask = async (
    change: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
    key: webcrypto.CryptoKey = certificate.privateKey,
  ) => {
    const claims = {
      iss: appId,
      sub: appId,
      aud: `${authority}/${tenantId}/oauth2/v2.0/token`,
      iat: now,
      nbf: now,
      exp: now + 600,
      ...change,
    }
    const assertion = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', 'x5t#S256': x5t, ...header })
      .sign(key)
    return tokenRequest(endpoints, {
      grant_type: 'client_credentials',
      client_id: appId,
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      scope: 'https://vault.azure.net/.default',
    })
  }
  assert.equal((await ask()).status, 200)
  assert.equal((await ask({ aud: `${authority}/${tenantId}/v2.0` })).status, 200)
  for (const [change, number] of [
    [{ aud: 'https://login.microsoftonline.com/x/oauth2/v2.0/token' }, 700023],
    [{ exp: now - 3600, iat: now - 7200, nbf: now - 7200 }, 700024],
    [{ nbf: now + 3600 }, 700024],
    [{ exp: now + 10 * 86_400 }, 700024],
    [{ sub: administrator.clientId }, 70021],
  ] as const)
    assert.deepEqual((await ask(change)).body['error_codes'], [number], JSON.stringify(change))
  assert.deepEqual((await ask({}, { 'x5t#S256': 'A'.repeat(43) })).body['error_codes'], [700027])
  const stranger = await makeCertificate('CN=robot')
  assert.deepEqual((await ask({}, {}, stranger.privateKey)).body['error_codes'], [700027])
  for (const refused of [
    // A FIPS provider does not make such a weak key.
    ...(getFips() === 1 ? [] : [await makeCertificate('CN=weak', { bits: 1024 })]),
    await makeCertificate('CN=old', { days: -1 }),
  ])
    assert.equal(
      (await graph.ask('POST', '/applications', { displayName: 'x', keyCredentials: [{ key: refused.der }] })).status,
      400,
    )
})

test('tokens for an application have the form of its version, and our services refuse them', async () => {
  const web = await application('caller')
  const api = await graph.application({
    displayName: 'api',
    identifierUris: [`api://${web.appId}/things`],
    api: { requestedAccessTokenVersion: 2 },
  })
  const client = { clientId: web.appId, clientSecret: web.secret }
  const token = await ownToken(endpoints, client, `api://${web.appId}/things/.default`)
  const keys = createRemoteJWKSet(new URL(`${authority}/${tenantId}/discovery/v2.0/keys`))
  const { payload } = await jwtVerify(token, keys, { issuer: `${authority}/${tenantId}/v2.0`, audience: api.appId })
  assert.deepEqual(
    [payload['ver'], payload['azp'], payload['azpacr'], payload['appid']],
    ['2.0', web.appId, '1', undefined],
  )
  assert.equal((await new Graph(endpoints, token).ask('GET', '/users')).status, 401)
  const { body } = await redeem(await signedIn(newBrowser()))
  assert.equal(
    (await new Graph(endpoints, String(body['id_token'])).ask('GET', '/users')).status,
    401,
    'nor an id token',
  )
})

test('when the administrator changes the signing key, tokens of the former one stay valid', async () => {
  const { resourceManager } = endpoints
  const token = await ownToken(endpoints, administrator, 'https://management.azure.com/.default')
  const headers = { authorization: `Bearer ${token}` }
  const rotated = await fetch(`${resourceManager}/providers/OwnKey.Directory/signingKeys/rotate`, {
    method: 'POST',
    headers,
  })
  const { kid } = (await rotated.json()) as { kid: string }
  const jwks = (await (await fetch(`${authority}/${tenantId}/discovery/v2.0/keys`)).json()) as {
    keys: { kid: string }[]
  }
  assert.deepEqual(jwks.keys.map(key => key.kid === kid).toSorted(), [false, true])
  assert.equal((await fetch(`${resourceManager}/subscriptions?api-version=2022-12-01`, { headers })).status, 200)
  const caller = await application('no administrator')
  const own = await ownToken(
    endpoints,
    { clientId: caller.appId, clientSecret: caller.secret },
    'https://management.azure.com/.default',
  )
  const refused = await fetch(`${resourceManager}/providers/OwnKey.Directory/signingKeys/rotate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${own}` },
  })
  assert.equal(refused.status, 403)
})

test('each guess of a secret is refused and in the audit log', async () => {
  const { appId } = await application('guessed')
  const attempt = () =>
    tokenRequest(endpoints, {
      grant_type: 'client_credentials',
      client_id: appId,
      client_secret: 'a-guess',
      scope: 'https://vault.azure.net/.default',
    })
  const statuses: number[] = []
  for (let n = 0; n < 8; n += 1) statuses.push((await attempt()).status)
  assert.deepEqual(new Set(statuses), new Set([401]))
  const args = ['src/cli.ts', 'audit', '--data-dir', cloud.dataDir, '--format', 'json']
  const cwd = new URL('../..', import.meta.url)
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, maxBuffer: 1e8 })
  const seen = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { operationName: string; resultType: string; properties: Record<string, unknown> })
    .filter(({ operationName, properties }) => operationName === 'SignIn' && properties['clientId'] === appId)
  assert.deepEqual(
    seen.map(({ properties }) => properties['httpStatusCode']),
    statuses,
  )
})

test('sign-ins that fail, sign-ins that succeed and changes of the directory are in the audit log, without a secret', async () => {
  const browser = newBrowser()
  await browser.signIn(await browser.go(attempt().url), administrator.userName, 'a-wrong-Passw0rd')
  await signedIn(newBrowser())
  const { secret } = await application('audited')
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      fileURLToPath(new URL('../../src/cli.ts', import.meta.url)),
      'audit',
      '--data-dir',
      cloud.dataDir,
      '--format',
      'json',
    ],
    { maxBuffer: 1e8 },
  )
  const records = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, string> & { properties: Record<string, unknown> })
  const signIns = records.filter(
    ({ operationName, properties }) =>
      operationName === 'SignIn' && properties['userPrincipalName'] === administrator.userName,
  )
  assert.ok(
    signIns.some(({ resultType, properties }) => resultType === 'Failed' && properties['errorCode'] === 'AADSTS50126'),
  )
  assert.ok(
    signIns.some(({ resultType, properties }) => resultType === 'Success' && properties['objectId'] !== undefined),
  )
  const added = records.find(
    ({ operationName, properties }) => operationName === 'Add application' && properties['displayName'] === 'audited',
  )
  assert.ok(added !== undefined && added['callerIpAddress'])
  assert.equal((added.properties['initiatedBy'] as { appId: string }).appId, administrator.clientId)
  for (const hidden of [secret, 'a-wrong-Passw0rd', administrator.password, administrator.clientSecret, 'third-Secret'])
    assert.ok(!stdout.includes(hidden))
})

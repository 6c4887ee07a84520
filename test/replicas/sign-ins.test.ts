import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { tokenRequest } from '../support/graph.ts'
import { AZURE_CLI, signIns, VAULT } from '../support/sign-in.ts'
import { TwoServices } from '../support/two-services.ts'

/* What a person or a device does in several requests, of which each service answers some. */
const two = await TwoServices.open({ after })
const { endpoints } = two
const { authority, tenantId, administrator } = endpoints
const { newBrowser, signedIn, redeem, refresh } = signIns(endpoints)

test('a sign-in at one service gives a code that the other redeems, once', async () => {
  const asked = await two.at(0, () => signedIn(newBrowser()))
  const first = await two.at(1, () => redeem(asked))
  assert.equal(first.status, 200, JSON.stringify(first.body))
  const again = await two.at(0, () => redeem(asked))
  assert.equal(again.body['error'], 'invalid_grant')
  // RFC 6749 4.1.2: the second use ends what the first one was given.
  const refreshed = await two.at(1, () => refresh(first.body['refresh_token']))
  assert.equal(refreshed.body['error'], 'invalid_grant')
})

test('of two services that redeem a code at the same time, one succeeds', async () => {
  for (let round = 0; round < 4; round += 1) {
    const asked = await signedIn(newBrowser())
    // One request to each service.
    const statuses = (await Promise.all([redeem(asked), redeem(asked)])).map(({ status }) => status)
    assert.deepEqual(statuses.toSorted(), [200, 400])
  }
})

test('a browser that signs in with requests to both services is signed in at both', async () => {
  const browser = newBrowser()
  await signedIn(browser)
  for (const which of [0, 1] as const) assert.notEqual((await two.at(which, () => signedIn(browser))).code, '')
})

test('a device that began at one service gets its token at either, after its code was entered at the other', async () => {
  const begun = await two.at(0, () =>
    fetch(`${authority}/${tenantId}/oauth2/v2.0/devicecode`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: AZURE_CLI, scope: VAULT }),
    }),
  )
  const device = (await begun.json()) as Record<string, string>
  const grantType = 'urn:ietf:params:oauth:grant-type:device_code'
  const poll = async () => {
    const form = { grant_type: grantType, client_id: AZURE_CLI, device_code: String(device['device_code']) }
    return (await tokenRequest(endpoints, form)).body
  }
  for (const which of [0, 1] as const)
    assert.equal((await two.at(which, poll))['error'], 'authorization_pending', `service ${which}`)
  const browser = newBrowser()
  await two.at(1, async () => {
    const entry = await browser.go(device['verification_uri'] ?? '')
    const asked = await browser.submit(entry, { code: device['user_code'] ?? '' })
    const confirm = await browser.signIn(asked, administrator.userName, administrator.password)
    await browser.submit(confirm, { action: 'continue' })
  })
  assert.ok((await two.at(0, poll))['refresh_token'])
  assert.equal((await two.at(1, poll))['error'], 'bad_verification_code')
})

test('neither service has logged an error', () => {
  assert.deepEqual(
    two.logged.filter(line => (line as { level?: string }).level === 'error'),
    [],
  )
})

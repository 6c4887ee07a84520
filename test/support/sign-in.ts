import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { Endpoints } from '../../src/base/endpoints.ts'
import { tokenRequest } from './graph.ts'
import { Browser, type Page } from './sign-in-browser.ts'

/** The portal's client id, as every cloud has it. */
export const PORTAL = 'c44b4083-3bb0-49c1-b47d-974e53cbdf3c'
export const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
export const VAULT = 'https://vault.azure.net/.default openid offline_access'

export interface Attempt {
  readonly url: string
  readonly verifier: string
}

/** What a client reads of the address that the browser is sent to. */
export function answerOf({ headers, status }: Page): URLSearchParams {
  assert.equal(status, 303)
  const url = new URL(headers.get('location') ?? '')
  return new URLSearchParams(url.hash === '' ? url.search : url.hash.slice(1))
}

/** Signing in to the portal of a cloud, unless `change` says otherwise. */
export function signIns(endpoints: Endpoints) {
  const { authority, tenantId, portal, administrator } = endpoints
  function attempt(change: Record<string, string> = {}, tenant = tenantId): Attempt {
    const verifier = randomBytes(32).toString('base64url')
    const url = new URL(`${authority}/${tenant}/oauth2/v2.0/authorize`)
    const parameters = {
      client_id: PORTAL,
      response_type: 'code',
      redirect_uri: `${portal}/`,
      scope: VAULT,
      state: 's',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...change,
    }
    for (const [name, value] of Object.entries(parameters)) if (value !== '') url.searchParams.set(name, value)
    return { url: url.href, verifier }
  }

  const newBrowser = () => new Browser(authority)

  async function signedIn(browser: Browser, change: Record<string, string> = {}): Promise<Attempt & { code: string }> {
    const asked = attempt(change)
    const page = await browser.go(asked.url)
    const answer =
      page.status === 303 ? page : await browser.signIn(page, administrator.userName, administrator.password)
    return { ...asked, code: answerOf(answer).get('code') ?? '' }
  }

  const redeem = (
    given: { code: string; verifier: string },
    change: Record<string, string> = {},
    origin: string | null = portal,
  ) => {
    const form = {
      client_id: PORTAL,
      grant_type: 'authorization_code',
      code: given.code,
      code_verifier: given.verifier,
      redirect_uri: `${portal}/`,
      ...change,
    }
    const filled = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== ''))
    return tokenRequest(endpoints, filled, { headers: origin === null ? {} : { origin } })
  }

  const refresh = (token: unknown, change: Record<string, string> = {}, origin: string | null = portal) =>
    tokenRequest(
      endpoints,
      { client_id: PORTAL, grant_type: 'refresh_token', refresh_token: String(token), scope: VAULT, ...change },
      { headers: origin === null ? {} : { origin } },
    )

  return { attempt, newBrowser, signedIn, redeem, refresh }
}

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { noBrowser, openBrowser, seriousProblems } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'
import { tokenRequest } from '../support/graph.ts'
import { AZURE_CLI } from '../support/sign-in.ts'

/** The pages of a sign-in in a real browser, which enforces their policies and sends the origin of forms. */
describe('the sign-in pages', { skip: noBrowser }, async () => {
  if (noBrowser !== false) return
  const cloud = await cloudFor({ after })
  const { authority, tenantId, administrator } = cloud.endpoints
  const browser = await openBrowser()
  after(() => browser.close())

  const open = async (dark: boolean): Promise<{ page: Page; said: string[] }> => {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 390, height: 844 },
      colorScheme: dark ? 'dark' : 'light',
    })
    const page = await context.newPage()
    const said: string[] = []
    page.on('console', message => {
      // axe-core first tries to load as a script, which the pages' policy refuses. A wrong password is a 401.
      const isExpected = /^Executing inline script|status of 401/.test(message.text())
      if (message.type() === 'error' && !isExpected) said.push(message.text())
    })
    page.on('request', request => {
      const { hostname } = new URL(request.url())
      if (!hostname.endsWith('localhost')) said.push(`asks ${request.url()}`)
    })
    return { page, said }
  }
  const isGood = async (page: Page): Promise<void> => {
    const title = await page.title()
    assert.deepEqual(await seriousProblems(page), [], title)
    const width = await page.evaluate<number>('document.documentElement.scrollWidth')
    assert.ok(width <= 390, `${title} is ${width} pixels wide`)
  }

  for (const dark of [false, true])
    test(`a program gets its code with the keyboard alone, ${dark ? 'dark' : 'light'}`, async () => {
      const { page, said } = await open(dark)
      const posted = Promise.withResolvers<URLSearchParams>()
      const program = createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          response.end('Go back to the program.')
          if (request.method === 'POST') posted.resolve(new URLSearchParams(Buffer.concat(chunks).toString()))
        })
      }).listen(0, '127.0.0.1')
      await once(program, 'listening')
      after(() => program.close())
      const redirectUri = `http://localhost:${(program.address() as AddressInfo).port}`
      const verifier = randomBytes(32).toString('base64url')
      const url = new URL(`${authority}/${tenantId}/oauth2/v2.0/authorize`)
      url.search = new URLSearchParams({
        client_id: AZURE_CLI,
        response_type: 'code',
        response_mode: 'form_post',
        redirect_uri: redirectUri,
        scope: 'https://vault.azure.net/.default openid',
        state: 'here',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }).toString()
      await page.goto(url.href)
      await isGood(page)
      await page.keyboard.type(administrator.userName)
      await page.keyboard.press('Tab')
      await page.keyboard.type('wrong')
      await page.keyboard.press('Enter')
      await page.getByRole('alert').waitFor()
      await isGood(page)
      await page.keyboard.type(administrator.password)
      await page.keyboard.press('Enter')
      const answer = await posted.promise
      assert.equal(answer.get('state'), 'here')
      const { status } = await tokenRequest(cloud.endpoints, {
        client_id: AZURE_CLI,
        grant_type: 'authorization_code',
        code: answer.get('code') ?? '',
        code_verifier: verifier,
        redirect_uri: redirectUri,
      })
      assert.equal(status, 200)
      assert.deepEqual(said, [])
      await page.context().close()
    })

  test('a device is signed in: code, password, consent', async () => {
    const { page, said } = await open(false)
    const device = (await (
      await fetch(`${authority}/${tenantId}/oauth2/v2.0/devicecode`, {
        method: 'POST',
        body: new URLSearchParams({ client_id: AZURE_CLI, scope: 'https://vault.azure.net/.default offline_access' }),
      })
    ).json()) as Record<string, string>
    await page.goto(device['verification_uri'] ?? '')
    await isGood(page)
    await page.getByLabel('Code').fill(device['user_code'] ?? '')
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByLabel('User name').fill(administrator.userName)
    await page.getByLabel('Password').fill(administrator.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Are you trying to sign in to Azure CLI?' }).waitFor()
    await isGood(page)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('heading', { name: 'You are signed in' }).waitFor()
    await isGood(page)
    const form = { client_id: AZURE_CLI, grant_type: 'device_code', device_code: device['device_code'] ?? '' }
    assert.equal((await tokenRequest(cloud.endpoints, form)).status, 200)
    assert.deepEqual(said, [])
    await page.context().close()
  })
})

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Azure, MANAGE } from '../support/azure.ts'
import { noBrowser, openBrowser, signedIn } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'

describe('the clock on its page', { skip: noBrowser }, async () => {
  if (noBrowser !== false) return
  const cloud = await cloudFor({ after }, ['--clock-control'])
  const azure = await Azure.in(cloud.endpoints)
  const keys = await azure.vault('kv-clock')
  await azure.policy('kv-clock', 'add', await azure.administratorUserId(), MANAGE)
  await keys.createRsaKey('old', { keySize: 2048 })
  await (await keys.beginDeleteKey('old', { intervalInMs: 20 })).pollUntilDone()
  const browser = await openBrowser()
  after(() => browser.close())
  const page = await signedIn(browser, cloud.endpoints)
  page.setDefaultTimeout(15_000)

  test('R08: ninety-one days pass in a moment, and what was deleted is purged', async () => {
    await page.getByRole('link', { name: 'Clock', exact: true }).click()
    await page.getByText('0 days', { exact: true }).waitFor()
    await page.getByLabel('Days').fill('91')
    await page.getByRole('button', { name: 'Advance' }).click()
    // The earlier tokens have expired. Where the session has too, the person signs in again.
    const password = page.getByLabel('Password')
    await page.getByText('91 days', { exact: true }).or(password).waitFor()
    if (await password.isVisible()) {
      const { userName, password: secret } = cloud.endpoints.administrator
      await page.getByLabel('User name').fill(userName)
      await password.fill(secret)
      await page.getByRole('button', { name: 'Sign in' }).click()
    }
    await page.getByText('91 days', { exact: true }).waitFor()
    assert.equal(new URL(page.url()).pathname, '/clock')
    await page.getByRole('link', { name: 'OwnKey' }).click()
    await page.getByRole('link', { name: 'kv-clock' }).click()
    await page.getByRole('link', { name: 'Keys', exact: true }).click()
    await page.getByText('No deleted keys.').waitFor()
  })
})

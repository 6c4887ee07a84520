import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { portalScene } from '../../scripts/portal-scene.ts'
import { statesOf } from '../../scripts/portal-states.ts'
import { noBrowser, openBrowser, seriousProblems, signedIn } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'

/** Dialogs, refusals, empty and long lists: the states that `npm run portal:shots` takes pictures of. */
describe('every state of the portal', { skip: noBrowser }, async () => {
  if (noBrowser !== false) return
  const cloud = await cloudFor({ after }, ['--clock-control'])
  const states = statesOf(await portalScene(cloud))
  const browser = await openBrowser()
  after(() => browser.close())

  for (const dark of [false, true])
    test(`is accessible and fits 390 pixels, ${dark ? 'dark' : 'light'}`, async t => {
      const page = await signedIn(browser, cloud.endpoints, { dark, width: 390, height: 844 })
      page.setDefaultTimeout(15_000)
      // Each state in one of the themes: the colours come from the same few tokens.
      const own = states.filter((_, index) => index % 2 === Number(dark))
      for (const { name, path, act } of own) {
        await page.goto(`${cloud.endpoints.portal}${path}`)
        await page.locator('#content').waitFor()
        await page.waitForLoadState('networkidle', { timeout: 3000 }).catch(() => undefined)
        await act?.(page)
        // A dialog fades in.
        if (act !== undefined) await page.waitForTimeout(500)
        assert.deepEqual(await seriousProblems(page), [], name)
        const width = await page.evaluate<number>('document.documentElement.scrollWidth')
        assert.ok(width <= 390, `${name} is ${width} pixels wide`)
        await page.unrouteAll({ behavior: 'ignoreErrors' })
      }
      t.diagnostic(`${own.length} states`)
      await page.context().close()
    })
})

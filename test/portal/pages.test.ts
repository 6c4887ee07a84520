import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readPortalFiles } from '../../src/portal/portal-files.ts'
import { Azure, MANAGE } from '../support/azure.ts'
import { noBrowser, openBrowser, seriousProblems, signedIn } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'
import { ACCOUNT_PAGES, OWN_PAGES, VAULT_PAGES } from '../support/portal-pages.ts'

describe('every page of the portal', { skip: noBrowser }, async () => {
  if (noBrowser !== false) return
  const cloud = await cloudFor({ after }, ['--clock-control'])
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('contoso')
  await account.upload('for a page')
  const keys = await azure.vault('kv-pages')
  await keys.createRsaKey('at-rest', { keySize: 2048 })
  await azure.policy('kv-pages', 'add', await azure.administratorUserId(), MANAGE)
  const browser = await openBrowser()
  after(() => browser.close())
  const { subscriptionId, portal } = cloud.endpoints
  const group = `/resource/subscriptions/${subscriptionId}/resourceGroups/${azure.group}/providers`
  const paths = [
    ...OWN_PAGES,
    `/subscriptions/${subscriptionId}`,
    ...ACCOUNT_PAGES.map(page => `${group}/Microsoft.CognitiveServices/accounts/contoso/${page}`),
    ...VAULT_PAGES.map(page => `${group}/Microsoft.KeyVault/vaults/kv-pages/${page}`),
  ].map(path => path.replace(/(.)\/$/, '$1'))

  for (const dark of [false, true]) {
    test(`is accessible, fits 390 pixels and asks no other host, ${dark ? 'dark' : 'light'}`, async t => {
      const page = await signedIn(browser, cloud.endpoints, { dark, width: 390, height: 844 })
      const foreign: string[] = []
      page.on('request', request => {
        const { hostname, protocol } = new URL(request.url())
        if (protocol.startsWith('http') && !hostname.endsWith('.localhost')) foreign.push(request.url())
      })
      for (const path of paths) {
        await page.goto(`${portal}${path}`)
        await page.locator('#content').waitFor()
        await page.waitForLoadState('networkidle').catch(() => undefined)
        const problems = await seriousProblems(page)
        assert.deepEqual(problems, [], path)
        const width = await page.evaluate<number>('document.documentElement.scrollWidth')
        assert.ok(width <= 390, `${path} is ${width} pixels wide`)
      }
      t.diagnostic(`${paths.length} pages`)
      assert.deepEqual(foreign, [])
      await page.context().close()
    })
  }

  test('the truth table on the page is the one that was measured', async () => {
    const { resourceManager } = cloud.endpoints
    assert.equal((await fetch(`${resourceManager}/ownkey/truth-table`)).status, 401)
    const measured = await readFile(new URL('../../docs/truth-table.md', import.meta.url), 'utf8')
    const causes = [...measured.matchAll(/^\| ([^|]+) \| `\w+` \| (\d+) \|/gm)]
    assert.ok(causes.length > 10)
    const page = await signedIn(browser, cloud.endpoints)
    await page.getByRole('link', { name: 'Truth table' }).click()
    const table = page.getByRole('table', { name: 'Cause' }).first()
    for (const [, cause = '', refusedMs = ''] of causes)
      await table.getByRole('row', { name: cause }).getByRole('cell', { name: refusedMs }).first().waitFor()
    await page.context().close()
  })

  test('the pages allow only their own scripts, styles and frames, and can not be framed', async () => {
    for (const path of ['/', paths.at(-1) ?? '']) {
      const policy = (await fetch(`${portal}${path}`)).headers.get('content-security-policy') ?? ''
      for (const part of ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"])
        assert.ok(`${policy};`.includes(part), `${part} is not in ${policy}`)
      assert.doesNotMatch(policy, /unsafe/)
    }
  })

  test('the first load is less than 300 kB of compressed script', async t => {
    const files = await readPortalFiles(fileURLToPath(new URL('../../portal/dist', import.meta.url)))
    const scripts = [...files].filter(([path]) => path.endsWith('.js'))
    const sizes = await Promise.all(scripts.map(async ([, file]) => (await file.compressed('br'))?.length ?? 0))
    const total = sizes.reduce((sum, size) => sum + size, 0)
    t.diagnostic(`${total} bytes in ${scripts.length} scripts, all pages together`)
    assert.ok(total < 300_000)
  })
})

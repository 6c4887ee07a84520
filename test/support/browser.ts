import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'
import type { Endpoints } from '../../src/base/endpoints.ts'

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = PATHS.find(path => existsSync(path))

/** For `{ skip }`: why a browser can't run here. */
export const noBrowser = executablePath === undefined ? 'Chromium is not installed' : false

/** @param home whose stores of certificates the browser uses; default the user's */
export async function openBrowser(home?: string): Promise<Browser> {
  if (executablePath === undefined) throw new Error('Chromium is not installed.')
  return chromium.launch({
    executablePath,
    // As root Chromium has no sandbox; the pages are our own.
    args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu'],
    ...(home === undefined ? {} : { env: { ...process.env, HOME: home } }),
  })
}

/** A page on which the administrator has signed in like a person. */
export async function signedIn(
  browser: Browser,
  { portal, administrator }: Endpoints,
  options: { width?: number; height?: number; dark?: boolean; path?: string } = {},
): Promise<Page> {
  const { width = 1280, height = 900, dark = false, path = '/' } = options
  const context = await browser.newContext({
    // The test's CA is not in the browser's store.
    ignoreHTTPSErrors: true,
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-GB',
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  const page = await context.newPage()
  await page.goto(`${portal}${path}`)
  await page.getByLabel('User name').fill(administrator.userName)
  await page.getByLabel('Password').fill(administrator.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('link', { name: 'OwnKey' }).waitFor()
  return page
}

/** What axe-core finds serious or critical, as one line each. */
export async function seriousProblems(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') }).catch(async () => {
    // The page's content security policy allows no script, but the browser's own evaluation does.
    await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'))
  })
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run(): Promise<{
          violations: { id: string; impact: string; nodes: { html: string; failureSummary?: string }[] }[]
        }>
      }
    }
    return (await axe.run()).violations
  })
  return found
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 160)} ${failureSummary.slice(0, 200)}`),
    )
}

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { startCloudProcess } from '../src/harness/cloud-process.ts'
import { openBrowser, signedIn } from '../test/support/browser.ts'
import { ACCOUNT_PAGES, OWN_PAGES, VAULT_PAGES } from '../test/support/portal-pages.ts'
import { portalScene, type PortalScene } from './portal-scene.ts'
import { statesOf, type State } from './portal-states.ts'

/**
 * Writes a picture of each page of the portal and of its states, wide and narrow, light and dark:
 * `npm run portal:shots -- FOLDER [--only WORD]`. WORD selects those with it in their name.
 */
const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true })
const folder = positionals[0] ?? 'coverage/portal'
const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
  { width: 1920, height: 1080 },
] as const
const SETTLE_MS = 700

function pagesOf({ azure, account, vault }: PortalScene): State[] {
  return [
    { name: 'subscription', path: `/subscriptions/${azure.endpoints.subscriptionId}` },
    ...OWN_PAGES.map(path => ({ name: path.slice(1) || 'home', path })),
    ...ACCOUNT_PAGES.map(page => ({ name: `account-${page || 'overview'}`, path: `${account('contoso')}/${page}` })),
    ...VAULT_PAGES.map(page => ({
      name: `vault-${page.replace('/', '-') || 'overview'}`,
      path: `${vault('contoso-keys')}/${page}`,
    })),
  ]
}

async function shoot(page: Page, portal: string, { name, path, act }: State, suffix: string): Promise<void> {
  await page.goto(`${portal}${path.replace(/(.)\/$/, '$1')}`)
  await page.locator('#content').waitFor()
  await page.waitForLoadState('networkidle', { timeout: 3000 }).catch(() => undefined)
  await page.waitForTimeout(SETTLE_MS)
  if (act !== undefined) {
    await act(page)
    await page.waitForTimeout(SETTLE_MS)
  }
  await page.screenshot({ path: join(folder, `${name}-${suffix}.png`), fullPage: act === undefined })
  await page.unrouteAll({ behavior: 'ignoreErrors' })
}

await mkdir(folder, { recursive: true })
const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-shots-'))
const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '1', '--clock-control'])
const browser = await openBrowser()
try {
  const { portal } = cloud.endpoints
  const bare = await signedIn(browser, cloud.endpoints)
  await shoot(bare, portal, { name: 'home-empty', path: '/' }, '1280-light')
  await bare.context().close()
  const scene = await portalScene(cloud)
  const wanted = [...pagesOf(scene), ...statesOf(scene)].filter(({ name }) => name.includes(values.only ?? ''))
  for (const { width, height } of SIZES) {
    for (const dark of [false, true]) {
      const page = await signedIn(browser, cloud.endpoints, { width, height, dark })
      page.setDefaultTimeout(10_000)
      for (const state of wanted) {
        // The widest is only for checking that lines don't get too long.
        if (width > 1280 && (dark || state.act !== undefined)) continue
        await shoot(page, portal, state, `${width}-${dark ? 'dark' : 'light'}`).catch((error: unknown) => {
          process.stderr.write(`${state.name} at ${width}: ${String(error).split('\n')[0]}\n`)
          process.exitCode = 1
        })
      }
      await page.context().close()
    }
  }
} finally {
  await browser.close()
  await cloud.stop()
  await rm(dataDir, { recursive: true, force: true })
}
